//! The text of a config as its writer may see it again: without its secrets.

use crate::problem::{Location, Snippet};
use crate::tree::Span;

/// Text after a key with one of these in its name is never shown, whatever else is wrong with the file.
const TELLTALES: [&str; 5] = ["pass", "secret", "token", "privatekey", "credential"];

pub(crate) struct Source<'a> {
    lines: Vec<&'a str>,
    secrets: Vec<Span>,
}

impl<'a> Source<'a> {
    pub fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let secrets = private_keys(&lines);
        Self { lines, secrets }
    }

    /// Blots out what stands here in everything that is shown from now on.
    pub fn hide(&mut self, spans: impl IntoIterator<Item = Span>) {
        self.secrets.extend(spans);
    }

    pub fn locate(&self, span: Span) -> Location {
        let text = self
            .lines
            .get(span.line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let chars: Vec<char> = text.chars().collect();
        let mut hidden = vec![false; chars.len()];
        for secret in self
            .secrets
            .iter()
            .filter(|secret| (secret.line..=secret.end_line).contains(&span.line))
        {
            let from = if secret.line == span.line {
                secret.column - 1
            } else {
                0
            };
            let to = if secret.end_line == span.line {
                secret.end_column - 1
            } else {
                chars.len()
            };
            hide(&mut hidden, from, to);
        }
        hide_after_telltales(&chars, &mut hidden);
        let snippet = Snippet::of(&chars, &hidden, span.column, span.width());
        Location {
            line: span.line,
            column: span.column,
            width: span.width(),
            snippet,
        }
    }
}

/// The bodies of private keys that are written out.
fn private_keys(lines: &[&str]) -> Vec<Span> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in lines.iter().enumerate() {
        inside = inside && !line.contains("-----END");
        if inside {
            let end_column = line.chars().count() + 1;
            found.push(Span {
                line: at + 1,
                column: 1,
                end_line: at + 1,
                end_column,
            });
        }
        inside = inside || line.contains("-----BEGIN") && !line.contains("-----END");
    }
    found
}

fn hide(hidden: &mut [bool], from: usize, to: usize) {
    let to = to.min(hidden.len());
    if let Some(hidden) = hidden.get_mut(from.min(to)..to) {
        hidden.fill(true);
    }
}

/// Whether a key of that name may hold a secret.
pub(crate) fn telltale(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| key.contains(telltale)) && !key.ends_with("path")
}

/// Hides the value after each `password:` and the like, for texts that could not be read as YAML.
fn hide_after_telltales(chars: &[char], hidden: &mut [bool]) {
    let mut word = String::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        at += 1;
        if c.is_alphanumeric() || c == '_' || c == '-' {
            word.push(c);
        } else if matches!(c, ':' | '：') && telltale(&word) {
            word.clear();
            while chars.get(at) == Some(&' ') {
                at += 1;
            }
            // `{env: NAME}` and `{file: PATH}` are no secrets.
            if chars.get(at) == Some(&'{') {
                continue;
            }
            let end = value_end(chars, at);
            hide(hidden, at, end);
            at = end;
        } else if !matches!(c, '"' | '\'' | ' ')
            || !word.is_empty() && c == ' ' && chars.get(at) != Some(&':')
        {
            word.clear();
        }
    }
}

fn value_end(chars: &[char], from: usize) -> usize {
    let find = |from: usize, wanted: &[char]| {
        chars[from..]
            .iter()
            .position(|c| wanted.contains(c))
            .map_or(chars.len(), |n| from + n)
    };
    match chars.get(from) {
        Some(quote @ ('"' | '\'')) => (find(from + 1, &[*quote]) + 1).min(chars.len()),
        // Inside braces a comma ends the value; elsewhere it is part of it.
        Some(_) if chars[..from].contains(&'{') => find(from, &[',', '}']),
        _ => chars.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        Source::new(line)
            .locate(Span::point(1, 1))
            .snippet
            .text()
            .to_owned()
    }

    #[test]
    fn a_secret_is_blotted_out_even_where_nothing_could_be_read() {
        assert_eq!(
            shown("{user: a, password: Qcl@1, port: 1}"),
            "{user: a, password: ***, port: 1}"
        );
        assert_eq!(shown("password: \"x y\" # z"), "password: *** # z");
        assert_eq!(shown("sudoPassword： a b"), "sudoPassword： ***");
        assert_eq!(shown("pasword: abc"), "pasword: abc");
        assert_eq!(
            shown("privateKeyPath: \"~/.ssh/id\""),
            "privateKeyPath: \"~/.ssh/id\""
        );
        assert_eq!(shown("password: {env: PW}"), "password: {env: PW}");
        assert_eq!(shown("\"password\": a"), "\"password\": ***");
    }

    #[test]
    fn no_line_of_a_private_key_is_shown() {
        let text = "privateKey: |\n-----BEGIN KEY-----\nAAAA\n-----END KEY-----\nuser: a\n";
        let shown = |line| {
            Source::new(text)
                .locate(Span::point(line, 1))
                .snippet
                .text()
                .to_owned()
        };
        assert_eq!([shown(3), shown(5)], ["***", "user: a"]);
    }
}
