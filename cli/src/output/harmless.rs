//! What a bundle, a registry or a host says may move the cursor, turn the direction of writing round or forge a line.
//! Nothing of that reaches a terminal: it is shown as what it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use event::{Event, Outcome, Sink, Unit};
use jiff::Timestamp;
use pipeline::{Line, Name, NodeView};

/// The colours that [`super::Paint`] puts on text.
const COLOURS: [&str; 7] = [
    "\u{1b}[0m",
    "\u{1b}[1m",
    "\u{1b}[2m",
    "\u{1b}[31m",
    "\u{1b}[32m",
    "\u{1b}[33m",
    "\u{1b}[36m",
];

/// Whether a terminal would act upon this character, or hide it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// A name or another word: it stays on its line.
pub fn word(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// A text that may have several lines.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, allowed: fn(char) -> bool) -> Cow<'_, str> {
    let harmful = |c: char| is_harmful(c) && !allowed(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A whole output, with the colours that kubexm itself put there.
pub fn painted(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return lines(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&lines(&rest[..at]));
        rest = &rest[at..];
        let ours = COLOURS.iter().find(|colour| rest.starts_with(**colour));
        let len = ours.map_or('\u{1b}'.len_utf8(), |colour| colour.len());
        match ours {
            Some(colour) => out.push_str(colour),
            None => out.push_str("\\u{1b}"),
        }
        rest = &rest[len..];
    }
    out.push_str(&lines(rest));
    Cow::Owned(out)
}

/// JSON that says the same. Outside of strings it has no such characters but ends of lines.
pub fn json(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| is_harmful(c) && !matches!(c, '\n' | '\r' | '\t');
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A step of a plan as a line of its tree.
pub fn line(node: NodeView) -> Line {
    let name = |name: Name| match word(&name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(plain) => plain.into(),
    };
    Line {
        stage: name(node.stage),
        task: name(node.task),
        host: name(node.host),
        text: word(&node.title).into_owned(),
    }
}

/// Stands before a sink that draws on a terminal.
pub struct Harmless(pub Arc<dyn Sink>);

impl Sink for Harmless {
    fn on(&self, at: Timestamp, event: &Event) {
        self.0.on(at, &harmless(event));
    }
}

fn harmless(event: &Event) -> Event {
    let plain = |text: &String| word(text).into_owned();
    let several = |text: &String| lines(text).into_owned();
    // Below the line that it begins on, whatever it says cannot be taken for another.
    let indented = |text: &String| lines(text).trim_end().replace('\n', "\n    ");
    match event.clone() {
        Event::RunStarted {
            command,
            cluster,
            units,
        } => Event::RunStarted {
            command,
            cluster: plain(&cluster),
            units,
        },
        Event::Started(unit) => Event::Started(plain_unit(unit)),
        Event::Waiting {
            id,
            for_what,
            waited,
        } => Event::Waiting {
            id,
            for_what: plain(&for_what),
            waited,
        },
        Event::Seen { id, what, warning } => Event::Seen {
            id,
            what: several(&what),
            warning: warning.as_ref().map(indented),
        },
        Event::Finished { id, outcome, took } => Event::Finished {
            id,
            outcome: match outcome {
                Outcome::Changed { reason } => Outcome::Changed {
                    reason: indented(&reason),
                },
                Outcome::Failed { error, hint } => Outcome::Failed {
                    error: several(&error),
                    hint: hint.as_ref().map(several),
                },
                other => other,
            },
            took,
        },
        Event::Skipped { unit, because } => Event::Skipped {
            unit: plain_unit(unit),
            because: plain(&because),
        },
        Event::Retrying {
            id,
            attempt,
            error,
            delay,
        } => Event::Retrying {
            id,
            attempt,
            error: indented(&error),
            delay,
        },
        Event::Warning { message, hint } => Event::Warning {
            message: several(&message),
            hint: hint.as_ref().map(several),
        },
        Event::Note { message } => Event::Note {
            message: several(&message),
        },
        other @ (Event::StageStarted { .. }
        | Event::StageFinished { .. }
        | Event::Progress { .. }
        | Event::RunFinished { .. }) => other,
    }
}

fn plain_unit(unit: Unit) -> Unit {
    Unit {
        task: unit.task.map(|task| word(&task).into_owned()),
        host: unit.host.map(|host| word(&host).into_owned()),
        title: word(&unit.title).into_owned(),
        ..unit
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use event::UnitId;

    use super::super::Paint;
    use super::*;

    const FORGED: &str =
        "lab\nsignature: good, by \u{1b}[32mme\u{1b}[0m\u{7}\u{202e}gro\u{200b}\u{9b}2J";

    #[test]
    fn what_a_terminal_acts_upon_is_shown_as_what_it_is() {
        insta::assert_snapshot!(word(FORGED), @r"lab\nsignature: good, by \u{1b}[32mme\u{1b}[0m\u{7}\u{202e}gro\u{200b}\u{9b}2J");
        insta::assert_snapshot!(lines("one\n\ttwo\r\u{2066}"), @r"
        one
        	two\r\u{2066}
        ");
        assert_eq!(word("Grüße, 中文 é"), "Grüße, 中文 é");
    }

    #[test]
    fn colours_of_our_own_stay_and_no_others() {
        for paint in [Paint::Plain, Paint::Colour] {
            let ours = format!(
                "{} {} {} {} {} {}",
                paint.good("a"),
                paint.bad("b"),
                paint.warn("c"),
                paint.hint("d"),
                paint.bold("e"),
                paint.dim("f")
            );
            assert_eq!(painted(&ours), ours);
        }
        assert_eq!(
            painted("a\u{1b}[8mb\u{1b}]0;t\u{7}"),
            r"a\u{1b}[8mb\u{1b}]0;t\u{7}"
        );
    }

    #[test]
    fn json_says_the_same() {
        let text = serde_json::to_string(&[FORGED, "\u{e0041}\u{7f}"]).unwrap();
        let shown = json(&text);
        assert!(!shown.contains(is_harmful), "{shown}");
        let back: Vec<String> = serde_json::from_str(&shown).unwrap();
        assert_eq!(back, [FORGED, "\u{e0041}\u{7f}"]);
    }

    #[test]
    fn a_cell_of_a_table_forges_no_line() {
        use super::super::table::{Column, table};
        let row = || vec![FORGED.to_owned(), FORGED.to_owned()];
        let drawn = table(&[Column::Text("image"), Column::Text("wanted by")], [row()]);
        assert!(
            !drawn.contains(|c: char| is_harmful(c) && c != '\n'),
            "{drawn}"
        );
        assert!(
            !drawn.lines().any(|line| line.starts_with("signature:")),
            "{drawn}"
        );
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Sink for Kept {
        fn on(&self, _: Timestamp, event: &Event) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(serde_json::to_string(event).unwrap());
        }
    }

    #[test]
    fn no_event_carries_it_further() {
        let kept = Arc::new(Kept::default());
        let sink = Harmless(kept.clone());
        let text = || FORGED.to_owned();
        let unit = Unit {
            id: UnitId(0),
            stage: "etcd".into(),
            task: Some(text()),
            host: Some(text()),
            title: text(),
            bytes: None,
            after: None,
        };
        let finished = |outcome| Event::Finished {
            id: UnitId(0),
            outcome,
            took: Duration::ZERO,
        };
        let failed = Outcome::Failed {
            error: text(),
            hint: Some(text()),
        };
        for event in [
            Event::RunStarted {
                command: "install".into(),
                cluster: text(),
                units: 1,
            },
            Event::Started(unit.clone()),
            Event::Seen {
                id: UnitId(0),
                what: text(),
                warning: Some(text()),
            },
            finished(Outcome::Changed { reason: text() }),
            finished(failed),
            Event::Skipped {
                unit,
                because: text(),
            },
            Event::Retrying {
                id: UnitId(0),
                attempt: 1,
                error: text(),
                delay: Duration::ZERO,
            },
            Event::Warning {
                message: text(),
                hint: Some(text()),
            },
            Event::Note { message: text() },
        ] {
            sink.on(Timestamp::UNIX_EPOCH, &event);
        }
        for line in kept.0.lock().unwrap().iter() {
            // serde_json escapes ends of lines itself, and they are all that may be left.
            assert!(!line.contains(is_harmful), "{line}");
            for escape in ["\\u001b", "\\u0007", "\\u009b"] {
                assert!(!line.contains(escape), "{line}");
            }
        }
    }
}
