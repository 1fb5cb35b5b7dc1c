use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use event::{Event, Outcome, Sink, Unit, UnitId};
use jiff::Timestamp;

use super::repeats::{News, Repeats};
use super::{Paint, wording};

/// How much a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line for what a stage changed on a host. What failed is told at once and in full, but only on the first host
    /// on which it fails so, and a reason to try again only once.
    Hosts,
    /// A line for every unit of work and every try.
    Steps,
}

/// Plain lines for what happened; for logs, pipes and dumb terminals.
pub struct Lines<W> {
    paint: Paint,
    detail: Detail,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    running: HashMap<UnitId, Unit>,
    /// What goes on, by stage and host.
    spans: BTreeMap<(String, String), Span>,
    repeats: Repeats,
}

/// A stage on a host.
struct Span {
    began: Timestamp,
    ended: Timestamp,
    running: u64,
    changed: u64,
    steps: u64,
}

impl<W> Lines<W> {
    pub fn new(out: W, detail: Detail, paint: Paint) -> Self {
        Self {
            paint,
            detail,
            state: Mutex::new(State {
                out,
                running: HashMap::new(),
                spans: BTreeMap::new(),
                repeats: Repeats::default(),
            }),
        }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn on(&self, at: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = match self.detail {
            Detail::Hosts => state.brief(at, event, self.paint),
            Detail::Steps => state.full(event, self.paint).into_iter().collect(),
        };
        for text in texts {
            // Whoever closed stderr does not want to know; the run goes on, and the report tells it all.
            let _ = writeln!(state.out, "{text}");
        }
    }
}

impl<W> State<W> {
    fn full(&mut self, event: &Event, paint: Paint) -> Option<String> {
        match event {
            Event::Started(unit) => {
                self.begin(unit);
                None
            }
            Event::Finished { id, outcome, took } => {
                let unit = self.running.remove(id)?;
                self.repeats.ended(*id);
                Some(wording::finished(&unit, outcome, *took, paint))
            }
            Event::Retrying {
                id,
                attempt,
                error,
                delay,
            } => {
                let unit = self.running.get(id)?;
                let error = match self.repeats.retried(unit, error) {
                    News::None => "as before",
                    News::New | News::As(_) => error,
                };
                Some(wording::retrying(unit, *attempt, error, *delay, paint))
            }
            Event::Waiting {
                id,
                for_what,
                waited,
            } if self.repeats.waits(*id, *waited) => {
                let unit = self.running.get(id)?;
                Some(wording::waiting(unit, for_what, *waited, paint))
            }
            Event::Seen {
                id,
                warning: Some(warning),
                ..
            } => Some(wording::doubt(self.running.get(id)?, warning, paint)),
            other => wording::remark(other, paint),
        }
    }

    fn brief(&mut self, at: Timestamp, event: &Event, paint: Paint) -> Vec<String> {
        match event {
            Event::Started(unit) => {
                self.begin(unit);
                let ended = self.leave(unit, paint);
                self.enter(unit, at);
                ended
            }
            Event::Finished { id, outcome, took } => {
                let Some(unit) = self.running.remove(id) else {
                    return Vec::new();
                };
                self.count(&unit, outcome, at);
                self.end(&unit, outcome, *took, paint).into_iter().collect()
            }
            Event::Retrying {
                id,
                attempt,
                error,
                delay,
            } => {
                let text = self.again(*id, *attempt, error, *delay, paint);
                text.into_iter().collect()
            }
            Event::StageFinished { stage, .. } => {
                let spans = std::mem::take(&mut self.spans).into_iter();
                let (ended, open) = spans.partition(|((of, _), _)| of == stage);
                self.spans = open;
                let hosts = ended.iter().filter_map(|(at, span)| span.told(at, paint));
                hosts.chain(wording::remark(event, paint)).collect()
            }
            // The summary counts them by cause; hundreds of lines would bury the cause itself.
            Event::Skipped { unit, .. } if unit.host.is_some() => Vec::new(),
            other => self.full(other, paint).into_iter().collect(),
        }
    }

    fn begin(&mut self, unit: &Unit) {
        self.running.insert(unit.id, unit.clone());
    }

    /// A host that begins another stage has ended those before, unless something of them still runs there.
    fn leave(&mut self, unit: &Unit, paint: Paint) -> Vec<String> {
        let spans = std::mem::take(&mut self.spans).into_iter();
        let (ended, open) = spans.partition(|((stage, host), span)| {
            unit.host.as_ref() == Some(host) && *stage != unit.stage && span.running == 0
        });
        self.spans = open;
        let ended = ended.iter();
        ended
            .filter_map(|(at, span)| span.told(at, paint))
            .collect()
    }

    fn enter(&mut self, unit: &Unit, at: Timestamp) {
        if let Some(host) = &unit.host {
            let span = self.spans.entry((unit.stage.clone(), host.clone()));
            let span = span.or_insert(Span {
                began: at,
                ended: at,
                running: 0,
                changed: 0,
                steps: 0,
            });
            span.running += 1;
        }
    }

    fn count(&mut self, unit: &Unit, outcome: &Outcome, at: Timestamp) {
        let place = unit.host.clone().map(|host| (unit.stage.clone(), host));
        if let Some(span) = place.and_then(|place| self.spans.get_mut(&place)) {
            span.ended = at;
            span.running -= 1;
            span.steps += 1;
            span.changed += u64::from(matches!(outcome, Outcome::Changed { .. }));
        }
    }

    /// What is said of the end of a unit: work on a host that went well is counted.
    fn end(
        &mut self,
        unit: &Unit,
        outcome: &Outcome,
        took: Duration,
        paint: Paint,
    ) -> Option<String> {
        let tries = self.repeats.ended(unit.id);
        let text = match (outcome, &unit.host) {
            (Outcome::Failed { error, .. }, Some(host)) => {
                match self.repeats.failed(unit, host, error) {
                    Some(other) => wording::failed_alike(unit, &other, took, paint),
                    None => wording::finished(unit, outcome, took, paint),
                }
            }
            (Outcome::Satisfied | Outcome::Changed { .. }, Some(_)) if tries == 1 => return None,
            _ => wording::finished(unit, outcome, took, paint),
        };
        Some(wording::tried(text, tries))
    }

    fn again(
        &mut self,
        id: UnitId,
        attempt: u32,
        error: &str,
        delay: Duration,
        paint: Paint,
    ) -> Option<String> {
        let unit = self.running.get(&id)?;
        match self.repeats.retried(unit, error) {
            News::None => None,
            News::As(other) => Some(wording::retrying_alike(unit, &other, paint)),
            News::New => Some(wording::retrying(unit, attempt, error, delay, paint)),
        }
    }
}

impl Span {
    /// A line where something has changed.
    fn told(&self, (stage, host): &(String, String), paint: Paint) -> Option<String> {
        let took = Duration::try_from(self.ended.duration_since(self.began)).unwrap_or_default();
        let counts = (self.changed, self.steps);
        (self.changed > 0).then(|| wording::host_finished(stage, host, counts, took, paint))
    }
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    fn spoken(script: &[(Timestamp, Event)], detail: Detail, paint: Paint) -> String {
        let mut out = Vec::new();
        let lines = Lines::new(&mut out, detail, paint);
        for (at, event) in script {
            lines.on(*at, event);
        }
        drop(lines);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_with_troubles_in_plain_lines() {
        insta::assert_snapshot!(spoken(&script::troubled(), Detail::Steps, Paint::Plain));
    }

    #[test]
    fn a_log_tells_what_changed_on_each_host_and_what_failed() {
        insta::assert_snapshot!(spoken(&script::troubled(), Detail::Hosts, Paint::Plain));
    }

    #[test]
    fn a_log_tells_the_same_trouble_once() {
        insta::assert_snapshot!(spoken(&script::unanswered(), Detail::Hosts, Paint::Plain));
    }

    #[test]
    fn a_log_of_every_step_does_not_repeat_why() {
        let text = spoken(&script::unanswered(), Detail::Steps, Paint::Plain);
        assert!(text.contains(": as before\n"), "{text}");
    }

    #[test]
    fn a_wait_that_lasts_is_told_in_a_log() {
        for detail in [Detail::Hosts, Detail::Steps] {
            let text = spoken(&script::patient(), detail, Paint::Plain);
            let waits: Vec<&str> = text.lines().filter(|line| line.contains("waits")).collect();
            assert_eq!(
                waits,
                ["proof node1: the clock goes by a time source ... waits for 10.0s: no source yet"]
            );
        }
    }

    #[test]
    fn a_log_of_nothing_to_do_has_a_line_for_each_stage() {
        let text = spoken(&script::untroubled(), Detail::Hosts, Paint::Plain);
        assert_eq!(text, "install mycluster\netcd: ok (0.0s)\n");
    }

    #[test]
    fn work_without_hosts_has_a_line_for_each_piece() {
        let both = [Detail::Hosts, Detail::Steps]
            .map(|detail| spoken(&script::hostless(), detail, Paint::Plain));
        assert_eq!(both[0], both[1]);
        assert!(
            both[0].contains("etcd-v3.5.24-linux-amd64.tar.gz ... changed (4.0s)"),
            "{both:?}"
        );
    }

    #[test]
    fn colours_mark_the_outcome_only() {
        let text = spoken(&script::troubled(), Detail::Steps, Paint::Colour);
        assert!(
            text.contains("on node2 ... \u{1b}[1m\u{1b}[31mFAILED\u{1b}[0m (0.9s)"),
            "{text:?}"
        );
    }
}
