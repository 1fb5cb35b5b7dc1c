use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use event::{Event, Sink, Unit, UnitId};
use jiff::Timestamp;

use super::{Paint, wording};

/// One plain line for each thing that happened; for logs, pipes and dumb terminals.
pub struct Lines<W> {
    paint: Paint,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    running: HashMap<UnitId, Unit>,
}

impl<W> Lines<W> {
    pub fn new(out: W, paint: Paint) -> Self {
        Self {
            paint,
            state: Mutex::new(State {
                out,
                running: HashMap::new(),
            }),
        }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn on(&self, _: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match event {
            Event::Started(unit) => {
                state.running.insert(unit.id, unit.clone());
                None
            }
            Event::Finished { id, outcome, took } => state
                .running
                .remove(id)
                .map(|unit| wording::finished(&unit, outcome, *took, self.paint)),
            Event::Retrying {
                id,
                attempt,
                error,
                delay,
            } => state
                .running
                .get(id)
                .map(|unit| wording::retrying(unit, *attempt, error, *delay, self.paint)),
            Event::Seen {
                id,
                warning: Some(warning),
                ..
            } => state
                .running
                .get(id)
                .map(|unit| wording::doubt(unit, warning, self.paint)),
            other => wording::remark(other, self.paint),
        };
        if let Some(text) = text {
            // Whoever closed stderr does not want to know; the run goes on, and the report tells it all.
            let _ = writeln!(state.out, "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    fn spoken(script: &[(Timestamp, Event)], paint: Paint) -> String {
        let mut out = Vec::new();
        let lines = Lines::new(&mut out, paint);
        for (at, event) in script {
            lines.on(*at, event);
        }
        drop(lines);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_with_troubles_in_plain_lines() {
        insta::assert_snapshot!(spoken(&script::troubled(), Paint::Plain));
    }

    #[test]
    fn colours_mark_the_outcome_only() {
        let text = spoken(&script::troubled(), Paint::Colour);
        assert!(
            text.contains("on node2 ... \u{1b}[1m\u{1b}[31mFAILED\u{1b}[0m (0.9s)"),
            "{text:?}"
        );
    }
}
