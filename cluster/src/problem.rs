use std::fmt;

use crate::KeyPath;

/// Something in a config that is wrong, or that its writer should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// None where nothing in the text is to blame, e.g. for a file that is empty.
    pub location: Option<Location>,
    pub path: KeyPath,
    pub message: String,
    pub hint: Option<String>,
}

/// Whether a problem stops anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// A place in the text, with the line as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How many characters it spans.
    pub width: usize,
    pub(crate) snippet: Snippet,
}

/// A line as it may be shown: short enough, and with `***` for every secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snippet {
    text: String,
    /// Blanks as wide as what stands before the place.
    pad: String,
    /// How many characters of the place are shown.
    width: usize,
}

/// Everything that is wrong with one config, in the order of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.render())]
pub struct Problems {
    source_name: String,
    list: Vec<Problem>,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl Problems {
    pub(crate) fn new(source_name: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| {
            problem
                .location
                .as_ref()
                .map(|place| (place.line, place.column))
        });
        Self {
            source_name: source_name.to_owned(),
            list,
        }
    }

    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    pub(crate) fn into_list(self) -> Vec<Problem> {
        self.list
    }

    /// Errors alone, without warnings.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.list
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    }

    /// The whole report: each problem with its place, the line and a hint, and how many there are. No colours.
    #[must_use]
    pub fn render(&self) -> String {
        let errors = self.errors().count();
        let warnings = self.list.len() - errors;
        let counts = [count(errors, "error"), count(warnings, "warning")];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        let mut parts: Vec<String> = self
            .list
            .iter()
            .map(|problem| problem.render(&self.source_name))
            .collect();
        parts.push(format!(
            "{} in {}\n",
            counts.join(" and "),
            self.source_name
        ));
        parts.join("\n")
    }
}

fn count(n: usize, what: &str) -> Option<String> {
    match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    }
}

impl Problem {
    /// One problem as a few lines of text, without colours.
    #[must_use]
    pub fn render(&self, source_name: &str) -> String {
        let number = self
            .location
            .as_ref()
            .map_or_else(String::new, |place| place.line.to_string());
        let gutter = " ".repeat(number.len());
        let at = if self.path.is_root() {
            String::new()
        } else {
            format!(" ({})", self.path)
        };
        let head = format!("{}: {}\n", self.severity, self.message);
        let place = match &self.location {
            Some(Location {
                line,
                column,
                snippet,
                ..
            }) => {
                let Snippet { text, pad, width } = snippet;
                let mark = "^".repeat(*width);
                format!(
                    "{gutter}--> {source_name}:{line}:{column}{at}\n\
                     {gutter} |\n\
                     {number} | {text}\n\
                     {gutter} | {pad}{mark}\n"
                )
            }
            None => format!(" --> {source_name}{at}\n"),
        };
        let hint = self
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!("{gutter} = hint: {hint}\n"));
        head + &place + &hint
    }
}

/// A blank as wide as the character.
fn blank(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        // East Asian characters take two columns of a terminal.
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}' => "  ",
        _ => " ",
    }
}

impl Snippet {
    const LONGEST: usize = 110;

    pub(crate) fn of(chars: &[char], hidden: &[bool], column: usize, width: usize) -> Self {
        // Each shown character with the column it stands for.
        let mut shown: Vec<(usize, char)> = Vec::with_capacity(chars.len());
        let end = chars.len() - chars.iter().rev().take_while(|c| c.is_whitespace()).count();
        for (at, (c, secret)) in chars.iter().zip(hidden).enumerate().take(end) {
            if !secret {
                shown.push((
                    at + 1,
                    if c.is_control() && *c != '\t' {
                        ' '
                    } else {
                        *c
                    },
                ));
            } else if at == 0 || !hidden[at - 1] {
                shown.extend([(at + 1, '*'); 3]);
            }
        }
        let mut start = shown.iter().take_while(|(at, _)| *at < column).count();
        let marked = shown[start..]
            .iter()
            .take_while(|(at, _)| *at < column + width)
            .count();
        let (mut head, mut tail) = ("", "");
        if shown.len() > Self::LONGEST {
            let from = start.saturating_sub(Self::LONGEST / 3);
            head = if from > 0 { "..." } else { "" };
            shown.drain(..from);
            start -= from;
            tail = if shown.len() > Self::LONGEST {
                "..."
            } else {
                ""
            };
            shown.truncate(Self::LONGEST);
        }
        let middle: String = shown.iter().map(|(_, c)| *c).collect();
        let pad = head
            .chars()
            .map(|_| " ")
            .chain(shown.iter().take(start).map(|(_, c)| blank(*c)));
        Self {
            pad: pad.collect(),
            text: format!("{head}{middle}{tail}"),
            width: marked.min(shown.len().saturating_sub(start)).max(1),
        }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
