use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use event::{Event, Sink, UnitId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::harmless;

/// How often one unit's progress is told.
const EVERY: SignedDuration = SignedDuration::from_secs(1);

/// One JSON object a line: the event, and when it happened.
pub struct Json<W>(Mutex<State<W>>);

struct State<W> {
    out: W,
    told: HashMap<UnitId, Timestamp>,
}

#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    event: &'a Event,
}

impl<W> Json<W> {
    pub fn new(out: W) -> Self {
        Self(Mutex::new(State {
            out,
            told: HashMap::new(),
        }))
    }
}

impl<W> State<W> {
    fn is_news(&mut self, at: Timestamp, event: &Event) -> bool {
        match event {
            Event::Started(unit) => {
                self.told.insert(unit.id, at);
                true
            }
            Event::Progress { id, .. } => {
                let news = self
                    .told
                    .get(id)
                    .is_none_or(|told| at.duration_since(*told) >= EVERY);
                if news {
                    self.told.insert(*id, at);
                }
                news
            }
            Event::Finished { id, .. } => {
                self.told.remove(id);
                true
            }
            _ => true,
        }
    }
}

impl<W: Write + Send> Sink for Json<W> {
    fn on(&self, at: Timestamp, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_news(at, event) {
            return;
        }
        let line = serde_json::to_string(&Line { at, event }).expect("events are plain data");
        // Whoever closed stdout does not want to know; the run goes on, and the report tells it all.
        let _ = writeln!(state.out, "{}", harmless::json(&line)).and_then(|()| state.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    #[test]
    fn one_event_a_line_with_its_time_and_progress_once_a_second() {
        let mut out = Vec::new();
        let json = Json::new(&mut out);
        for (at, event) in script::troubled() {
            json.on(at, &event);
        }
        drop(json);
        let text = String::from_utf8(out).unwrap();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(
                value["at"].is_string() && value["event"].is_string(),
                "{line}"
            );
        }
        insta::assert_snapshot!(text);
    }
}
