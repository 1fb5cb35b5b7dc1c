use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::mem::take;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use event::{Event, Outcome, Sink, Unit, UnitId};
use jiff::Timestamp;

use super::repeats::{Novelty, Repeats};
use super::wording::Alike;
use super::{Paint, wording};

/// How much a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A line for what a task changed on a host. Trouble is told at once and in full on the first host that has it; which
    /// others have it too, is told once their stage ends.
    Tasks,
    /// A line for every unit of work and every try.
    Steps,
}

/// Plain lines for what happened; for logs, pipes and dumb terminals.
pub struct Lines<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    paint: Paint,
    detail: Detail,
    running: HashMap<UnitId, Unit>,
    /// What goes on, by host.
    spans: BTreeMap<String, Vec<Span>>,
    repeats: Repeats,
    /// What was told in full, and who else has it.
    told: HashMap<Complaint, Reported>,
}

/// A task on a host.
struct Span {
    stage: String,
    task: String,
    began: Timestamp,
    ended: Timestamp,
    running: u64,
    changed: u64,
    steps: u64,
}

/// A trouble as it would be on any host.
#[derive(PartialEq, Eq, Hash)]
struct Complaint {
    alike: Alike,
    stage: String,
    title: String,
    error: String,
}

struct Reported {
    /// Of whom it was told. The earlier comes first in what is told at the end.
    unit: Unit,
    others: Vec<String>,
    at: usize,
}

impl<W> Lines<W> {
    pub fn new(out: W, detail: Detail, paint: Paint) -> Self {
        Self {
            state: Mutex::new(State {
                out,
                paint,
                detail,
                running: HashMap::new(),
                spans: BTreeMap::new(),
                repeats: Repeats::default(),
                told: HashMap::new(),
            }),
        }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn on(&self, at: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for text in state.tell(at, event) {
            // Whoever closed stderr does not want to know; the run goes on, and the report tells it all.
            let _ = writeln!(state.out, "{text}");
        }
    }
}

impl<W> State<W> {
    fn tell(&mut self, at: Timestamp, event: &Event) -> Vec<String> {
        let one = match event {
            Event::Started(unit) => return self.begin(unit, at),
            Event::Finished { id, outcome, took } => self.end(*id, outcome, *took, at),
            Event::Retrying {
                id,
                attempt,
                error,
                delay,
            } => self.again(*id, *attempt, error, *delay),
            Event::Waiting {
                id,
                for_what,
                waited,
            } => self.wait(*id, for_what, *waited),
            Event::Seen {
                id,
                warning: Some(warning),
                ..
            } => self.doubt(*id, warning),
            Event::StageFinished { stage, .. } => {
                let mut texts = self.leave_all(|span| span.stage == *stage);
                texts.extend(self.others(|said| said.stage == *stage));
                texts.extend(wording::remark(event, self.paint));
                return texts;
            }
            Event::RunFinished { .. } => {
                let mut texts = self.leave_all(|_| true);
                texts.extend(self.others(|_| true));
                return texts;
            }
            // The summary counts them by cause; hundreds of lines would bury the cause itself.
            Event::Skipped { unit, .. } if self.detail == Detail::Tasks && unit.host.is_some() => {
                None
            }
            other => wording::remark(other, self.paint),
        };
        one.into_iter().collect()
    }

    /// A host that begins another task has ended those before, unless something of them still runs there.
    fn begin(&mut self, unit: &Unit, at: Timestamp) -> Vec<String> {
        self.running.insert(unit.id, unit.clone());
        let (Detail::Tasks, Some(task), Some(host)) = (self.detail, &unit.task, &unit.host) else {
            return Vec::new();
        };
        let spans = self.spans.entry(host.clone()).or_default();
        let is_here = |span: &Span| span.stage == unit.stage && span.task == *task;
        let ended = leave(host, spans, |span| !is_here(span), self.paint);
        match spans.iter_mut().find(|span| is_here(span)) {
            Some(span) => span.running += 1,
            None => spans.push(Span {
                stage: unit.stage.clone(),
                task: task.clone(),
                began: at,
                ended: at,
                running: 1,
                changed: 0,
                steps: 0,
            }),
        }
        ended
    }

    /// What is said of the end of a unit: a step that went well is counted.
    fn end(
        &mut self,
        id: UnitId,
        outcome: &Outcome,
        took: Duration,
        at: Timestamp,
    ) -> Option<String> {
        let unit = self.running.remove(&id)?;
        let tries = self.repeats.ended(id);
        let counted = self.count(&unit, outcome, at);
        match outcome {
            Outcome::Satisfied | Outcome::Changed { .. } if counted && tries == 1 => return None,
            Outcome::Failed { error, .. } if !self.is_new(Alike::Failed, &unit, error) => {
                return None;
            }
            _ => {}
        }
        let text = wording::finished(&unit, outcome, took, self.paint);
        Some(match self.detail {
            Detail::Tasks => wording::tried(text, tries),
            Detail::Steps => text,
        })
    }

    /// Whether there is a task that it counts for.
    fn count(&mut self, unit: &Unit, outcome: &Outcome, at: Timestamp) -> bool {
        let on_host = unit.host.as_ref().and_then(|host| self.spans.get_mut(host));
        let is_here =
            |span: &&mut Span| span.stage == unit.stage && Some(&span.task) == unit.task.as_ref();
        let Some(span) = on_host.and_then(|spans| spans.iter_mut().find(is_here)) else {
            return false;
        };
        span.ended = at;
        span.running -= 1;
        span.steps += 1;
        span.changed += u64::from(matches!(outcome, Outcome::Changed { .. }));
        true
    }

    fn again(&mut self, id: UnitId, attempt: u32, error: &str, delay: Duration) -> Option<String> {
        let unit = self.running.get(&id)?.clone();
        let is_known = self.repeats.retried(&unit, error) == Novelty::None;
        if self.detail == Detail::Tasks && is_known || !self.is_new(Alike::Retried, &unit, error) {
            return None;
        }
        let error = if is_known { "as before" } else { error };
        Some(wording::retrying(&unit, attempt, error, delay, self.paint))
    }

    fn wait(&mut self, id: UnitId, for_what: &str, waited: Duration) -> Option<String> {
        let is_told = self.repeats.waits(id, waited);
        let unit = self.running.get(&id).filter(|_| is_told)?;
        Some(wording::waiting(unit, for_what, waited, self.paint))
    }

    fn doubt(&mut self, id: UnitId, warning: &str) -> Option<String> {
        let unit = self.running.get(&id)?.clone();
        let is_new = self.is_new(Alike::Warned, &unit, warning);
        is_new.then(|| wording::doubt(&unit, warning, self.paint))
    }

    /// Whether it has to be told in full. Otherwise its host is noted beside the one of which the same was told.
    fn is_new(&mut self, alike: Alike, unit: &Unit, error: &str) -> bool {
        let Some(host) = unit
            .host
            .as_deref()
            .filter(|_| self.detail == Detail::Tasks)
        else {
            return true;
        };
        let said = Complaint {
            alike,
            stage: unit.stage.clone(),
            title: wording::of_any_host(&unit.title, Some(host)),
            error: wording::of_any_host(error, Some(host)),
        };
        let at = self.told.len();
        let mut new = false;
        let told = self.told.entry(said).or_insert_with(|| {
            new = true;
            Reported {
                unit: unit.clone(),
                others: Vec::new(),
                at,
            }
        });
        let known = told.unit.host.as_deref() == Some(host);
        if !known && !told.others.iter().any(|other| other == host) {
            told.others.push(host.to_owned());
        }
        new
    }

    /// What has changed on all hosts, of the tasks that have ended there.
    fn leave_all(&mut self, is_over: impl Fn(&Span) -> bool) -> Vec<String> {
        let hosts = self.spans.iter_mut();
        hosts
            .flat_map(|(host, spans)| leave(host, spans, &is_over, self.paint))
            .collect()
    }

    /// Who else has the troubles that were told.
    fn others(&mut self, is_over: impl Fn(&Complaint) -> bool) -> Vec<String> {
        let told = take(&mut self.told).into_iter();
        let (over, open): (HashMap<_, _>, _) = told.partition(|(said, _)| is_over(said));
        self.told = open;
        let mut over: Vec<_> = over.into_iter().collect();
        over.retain(|(_, told)| !told.others.is_empty());
        over.sort_by_key(|(_, told)| told.at);
        let told = |(said, told): &(Complaint, Reported)| {
            wording::as_well(&told.unit, said.alike, &told.others, self.paint)
        };
        over.iter().map(told).collect()
    }
}

/// What has changed on a host, of the tasks that have ended there.
fn leave(
    host: &str,
    spans: &mut Vec<Span>,
    is_over: impl Fn(&Span) -> bool,
    paint: Paint,
) -> Vec<String> {
    let ended = spans.extract_if(.., |span| span.running == 0 && is_over(span));
    ended.filter_map(|span| span.told(host, paint)).collect()
}

impl Span {
    /// A line where something has changed.
    fn told(&self, host: &str, paint: Paint) -> Option<String> {
        let took = Duration::try_from(self.ended.duration_since(self.began)).unwrap_or_default();
        let (place, counts) = (
            [&*self.stage, host, &*self.task],
            (self.changed, self.steps),
        );
        (self.changed > 0).then(|| wording::task_finished(place, counts, took, paint))
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
    fn a_log_tells_what_each_task_changed_on_a_host_and_what_failed() {
        insta::assert_snapshot!(spoken(&script::troubled(), Detail::Tasks, Paint::Plain));
    }

    #[test]
    fn a_log_tells_the_same_trouble_once() {
        insta::assert_snapshot!(spoken(&script::unanswered(), Detail::Tasks, Paint::Plain));
    }

    #[test]
    fn a_log_of_nothing_to_do_has_a_line_for_each_stage() {
        let text = spoken(&script::untroubled(), Detail::Tasks, Paint::Plain);
        assert_eq!(text, "install mycluster\netcd: ok (0.0s)\n");
    }

    #[test]
    fn a_log_tells_a_warning_of_many_hosts_once() {
        insta::assert_snapshot!(spoken(&script::doubted(), Detail::Tasks, Paint::Plain));
    }

    #[test]
    fn work_without_hosts_has_a_line_for_each_piece() {
        let both = [Detail::Tasks, Detail::Steps]
            .map(|detail| spoken(&script::hostless(), detail, Paint::Plain));
        assert_eq!(both[0], both[1]);
        assert!(
            both[0].contains("etcd-v3.5.24-linux-amd64.tar.gz ... changed (4.0s)"),
            "{both:?}"
        );
    }

    #[test]
    fn a_wait_that_lasts_is_told() {
        for detail in [Detail::Tasks, Detail::Steps] {
            let text = spoken(&script::patient(), detail, Paint::Plain);
            let waits: Vec<&str> = text.lines().filter(|line| line.contains("waits")).collect();
            assert_eq!(
                waits,
                ["proof node1: the clock goes by a time source ... waits for 10.0s: no source yet"]
            );
        }
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
