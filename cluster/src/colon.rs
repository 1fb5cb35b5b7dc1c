//! The full-width colon `：` of Chinese keyboards looks like YAML's own and is not.

use crate::tree::Span;

/// The text as it was meant, and where it was written otherwise.
pub(crate) struct Recovered {
    pub text: String,
    /// Each full-width colon that stands where a key ends, with the key.
    pub colons: Vec<(Span, String)>,
    /// Where a space was put in that the original does not have.
    inserted: Vec<(usize, usize)>,
    /// How many `{` and `[` are open.
    flow: usize,
}

impl Recovered {
    /// The same place in the text as it was written.
    pub fn original(&self, span: Span) -> Span {
        let column = |line: usize, column: usize| {
            let before = self
                .inserted
                .iter()
                .filter(|(l, c)| *l == line && *c < column)
                .count();
            column.saturating_sub(before).max(1)
        };
        Span {
            column: column(span.line, span.column),
            end_column: column(span.end_line, span.end_column),
            ..span
        }
    }
}

pub(crate) fn recover(text: &str) -> Recovered {
    let mut out = Recovered {
        text: String::with_capacity(text.len()),
        colons: Vec::new(),
        inserted: Vec::new(),
        flow: 0,
    };
    // The indentation of the line whose block scalar (`|` or `>`) runs; what is deeper belongs to it.
    let mut block: Option<usize> = None;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let blank = line.trim().is_empty();
        if block.is_some_and(|above| blank || indent > above) {
            out.text.push_str(line);
            continue;
        }
        out.line(at + 1, line);
        block = opens_block(line).then_some(indent);
    }
    out
}

impl Recovered {
    fn line(&mut self, number: usize, line: &str) {
        let mut quote: Option<char> = None;
        // The key that would end here; none where no key can stand.
        let mut key: Option<String> = Some(String::new());
        let mut before = ' ';
        let mut column = 0;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            column += 1;
            let starts_quote = matches!(c, '"' | '\'')
                && quote.is_none()
                && (before.is_whitespace() || matches!(before, '{' | '[' | ',' | ':' | '：'));
            if c == '#' && quote.is_none() && before.is_whitespace() {
                self.text.push(c);
                self.text.extend(chars);
                return;
            }
            if c == '：'
                && quote.is_none()
                && let Some(named) = key.take().and_then(|key| as_key(&key))
            {
                self.colons.push((Span::point(number, column), named));
                self.text.push(':');
                if chars.peek().is_some_and(|next| !next.is_whitespace()) {
                    self.text.push(' ');
                    self.inserted.push((number, column + 1));
                }
                before = c;
                continue;
            }
            self.text.push(c);
            if starts_quote {
                quote = Some(c);
            } else if quote == Some(c) {
                quote = None;
            } else if quote.is_some() {
                if let Some(key) = &mut key {
                    key.push(c);
                }
            } else {
                match c {
                    '{' | '[' => self.flow += 1,
                    '}' | ']' => self.flow = self.flow.saturating_sub(1),
                    _ => {}
                }
                key = match (c, key) {
                    ('{' | ',' | '[', _) if self.flow > 0 => Some(String::new()),
                    ('-' | '?', Some(key))
                        if key.trim().is_empty() && chars.peek() == Some(&' ') =>
                    {
                        Some(String::new())
                    }
                    // After its colon comes a value.
                    (':', Some(_)) if chars.peek().is_none_or(|next| next.is_whitespace()) => None,
                    (c, Some(key)) => Some(key + c.encode_utf8(&mut [0; 4])),
                    (_, None) => None,
                };
            }
            before = c;
        }
    }
}

/// The text as a key of a config: one word of ASCII.
fn as_key(text: &str) -> Option<String> {
    let key = text.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    (!key.is_empty() && key.chars().all(word)).then(|| key.to_owned())
}

/// Whether the line ends in the mark of a block scalar: `key: |` or `- >-`.
fn opens_block(line: &str) -> bool {
    let code = line.split(" #").next().unwrap_or(line).trim_end();
    let Some((before, mark)) = code.rsplit_once([' ', '\t']) else {
        return false;
    };
    mark.starts_with(['|', '>'])
        && mark[1..]
            .chars()
            .all(|c| matches!(c, '+' | '-' | '0'..='9'))
        && before.trim_end().ends_with([':', '-', '：'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (String, Vec<String>) {
        let out = recover(text);
        (
            out.text,
            out.colons.into_iter().map(|(_, key)| key).collect(),
        )
    }

    #[test]
    fn a_colon_after_a_key_is_taken_for_the_real_one() {
        assert_eq!(
            found("version： 1\n"),
            ("version: 1\n".into(), vec!["version".into()])
        );
        assert_eq!(
            found("  - name：a\n"),
            ("  - name: a\n".into(), vec!["name".into()])
        );
        assert_eq!(found("{a： 1, b：2}").1, ["a", "b"]);
        assert_eq!(found("\"quoted\"： 1").1, ["quoted"]);
        assert_eq!(found("containerd：").0, "containerd:");
    }

    #[test]
    fn a_colon_inside_a_value_a_comment_or_a_block_stays() {
        let texts = [
            "a: b：c",
            "# 注意：x",
            "a: \"b：c\"",
            "a: |\n  b： c\n",
            "- some, words：x",
            "- 注意：x",
        ];
        for text in texts {
            assert_eq!(found(text), (text.to_owned(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn places_are_told_in_the_original() {
        let out = recover("a：b\n");
        assert_eq!(out.text, "a: b\n");
        assert_eq!(out.original(Span::point(1, 4)).column, 3);
        assert_eq!(out.original(Span::point(2, 4)).column, 4);
    }
}
