use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use event::{Event, Outcome, RunOutcome, Sink, Unit, UnitId};
use jiff::Timestamp;

use super::table::{Column, table};
use super::{Paint, wording};

/// Says nothing until the run ends, then tells it all in one table, and every failure below it.
pub struct Summary<W> {
    paint: Paint,
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    running: HashMap<UnitId, Unit>,
    /// In the order in which they began.
    stages: Vec<Row>,
    failures: Vec<Failure>,
    /// Why, and on which hosts how many.
    skipped: BTreeMap<String, (u64, BTreeSet<String>)>,
}

#[derive(Default)]
struct Row {
    stage: String,
    hosts: BTreeSet<String>,
    changed: u64,
    satisfied: u64,
    failed: u64,
    skipped: u64,
    took: Option<Duration>,
}

/// What failed, on one host or on many in the same way.
struct Failure {
    unit: Unit,
    /// The others, in the order in which they failed.
    others: Vec<String>,
    error: String,
    hint: Option<String>,
}

impl Failure {
    fn is_alike(&self, unit: &Unit, error: &str) -> bool {
        let host = self.unit.host.as_deref();
        let alike = |mine: &str, other: &str| {
            wording::of_any_host(mine, host) == wording::of_any_host(other, unit.host.as_deref())
        };
        self.unit.stage == unit.stage
            && host.is_some()
            && unit.host.is_some()
            && alike(&self.unit.title, &unit.title)
            && alike(&self.error, error)
    }

    /// `etcd node1, node2: start etcd`
    fn place(&self) -> String {
        let host = self.unit.host.iter().chain(&self.others);
        let hosts: Vec<&str> = host.map(String::as_str).collect();
        wording::place(&Unit {
            host: (!hosts.is_empty()).then(|| hosts.join(", ")),
            ..self.unit.clone()
        })
    }
}

impl<W> Summary<W> {
    pub fn new(out: W, paint: Paint) -> Self {
        Self {
            paint,
            state: Mutex::new(State {
                out,
                tally: Tally::default(),
            }),
        }
    }
}

impl<W: Write + Send> Sink for Summary<W> {
    fn on(&self, _: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tally.count(event);
        if let Event::RunFinished { outcome, took, .. } = event {
            let text = state.tally.tell(*outcome, *took, self.paint);
            // Whoever closed stderr does not want to know.
            let _ = state.out.write_all(text.as_bytes());
        }
    }
}

impl Tally {
    fn count(&mut self, event: &Event) {
        match event {
            Event::StageStarted { stage } => {
                self.row(stage);
            }
            Event::StageFinished { stage, took, .. } => self.row(stage).took = Some(*took),
            Event::Started(unit) => {
                self.row(&unit.stage).hosts.extend(unit.host.clone());
                self.running.insert(unit.id, unit.clone());
            }
            Event::Finished { id, outcome, took } => {
                if let Some(unit) = self.running.remove(id) {
                    // What belongs to no stage that ends by itself has its own time.
                    self.row(&unit.stage).took = Some(*took);
                    self.end(unit, outcome);
                }
            }
            Event::Skipped { unit, because } => {
                self.row(&unit.stage).skipped += 1;
                let (count, hosts) = self.skipped.entry(because.clone()).or_default();
                *count += 1;
                hosts.extend(unit.host.clone());
            }
            _ => {}
        }
    }

    fn end(&mut self, unit: Unit, outcome: &Outcome) {
        let row = self.row(&unit.stage);
        match outcome {
            Outcome::Satisfied => row.satisfied += 1,
            Outcome::Changed { .. } => row.changed += 1,
            Outcome::Interrupted => row.skipped += 1,
            Outcome::Failed { error, hint } => {
                row.failed += 1;
                let mut failures = self.failures.iter_mut();
                match failures.find(|failure| failure.is_alike(&unit, error)) {
                    Some(alike) => alike.others.extend(unit.host),
                    None => self.failures.push(Failure {
                        unit,
                        others: Vec::new(),
                        error: error.clone(),
                        hint: hint.clone(),
                    }),
                }
            }
        }
    }

    fn row(&mut self, stage: &str) -> &mut Row {
        let at = self
            .stages
            .iter()
            .position(|row| row.stage == stage)
            .unwrap_or_else(|| {
                self.stages.push(Row {
                    stage: stage.to_owned(),
                    ..Row::default()
                });
                self.stages.len() - 1
            });
        &mut self.stages[at]
    }

    fn tell(&self, outcome: RunOutcome, took: Duration, paint: Paint) -> String {
        let mut text = String::from("\n");
        if !self.stages.is_empty() {
            text += &self.table();
            text += "\n\n";
        }
        text += &self.failures(paint);
        text += &self.verdict(outcome, took, paint);
        text += "\n";
        text
    }

    fn table(&self) -> String {
        let with_hosts = self.stages.iter().any(|row| !row.hosts.is_empty());
        let numbers = ["changed", "satisfied", "failed", "skipped", "time"].map(Column::Number);
        let columns: Vec<Column> = [Column::Text("stage")]
            .into_iter()
            .chain(with_hosts.then_some(Column::Number("hosts")))
            .chain(numbers)
            .collect();
        let rows = self.stages.iter().map(|row| {
            let counts = [row.changed, row.satisfied, row.failed, row.skipped];
            [row.stage.clone()]
                .into_iter()
                .chain(with_hosts.then(|| row.hosts.len().to_string()))
                .chain(counts.map(|count| count.to_string()))
                .chain([row.took.map_or_else(|| "-".to_owned(), wording::took)])
                .collect()
        });
        table(&columns, rows)
    }

    fn failures(&self, paint: Paint) -> String {
        let failed = self.failures.iter().map(|failure| {
            let (error, hint) = (&failure.error, failure.hint.as_deref());
            let trouble = wording::trouble(error, hint, "    ", paint);
            format!("{} {}\n{trouble}\n", paint.bad("failed:"), failure.place())
        });
        let skipped = self.skipped.iter().map(|(because, (count, hosts))| {
            let steps = wording::count(*count, "step");
            format!(
                "{} {steps}{}: {because}\n",
                paint.warn("skipped:"),
                on(hosts)
            )
        });
        let text: String = failed.chain(skipped).collect();
        if text.is_empty() { text } else { text + "\n" }
    }

    fn verdict(&self, outcome: RunOutcome, took: Duration, paint: Paint) -> String {
        let sum = |of: fn(&Row) -> u64| self.stages.iter().map(of).sum::<u64>();
        let changed = format!(
            "{} changed ({})",
            sum(|row| row.changed),
            wording::took(took)
        );
        let again = "running it again continues from here";
        let mended = "once that is mended, running it again continues from here";
        match (outcome, sum(|row| row.changed), sum(|row| row.failed)) {
            (RunOutcome::Done, 0, _) => {
                let nothing = paint.good("nothing to do: everything is as it should be");
                format!("{nothing} ({})", wording::took(took))
            }
            (RunOutcome::Done, ..) => format!("{}: {changed}", paint.good("done")),
            (RunOutcome::Failed, _, 0) => format!("{}: {changed}; {mended}", paint.bad("not done")),
            (RunOutcome::Failed, _, failed) => {
                format!(
                    "{}: {failed} failed, {changed}; {mended}",
                    paint.bad("not done")
                )
            }
            (RunOutcome::Interrupted, ..) => {
                format!("{}: {changed}; {again}", paint.warn("interrupted"))
            }
        }
    }
}

/// ` on node1, node2`; only how many where nobody would read the names.
fn on(hosts: &BTreeSet<String>) -> String {
    match hosts.len() {
        0 => String::new(),
        1..=6 => format!(
            " on {}",
            hosts
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        many => format!(" on {many} hosts"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    fn told(script: Vec<(Timestamp, Event)>) -> String {
        let mut out = Vec::new();
        let summary = Summary::new(&mut out, Paint::Plain);
        for (at, event) in script {
            summary.on(at, &event);
        }
        drop(summary);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_failure_is_told_at_the_end() {
        insta::assert_snapshot!(told(script::troubled()));
    }

    #[test]
    fn a_run_that_changed_nothing_says_so() {
        insta::assert_snapshot!(told(script::untroubled()));
    }

    #[test]
    fn work_without_hosts_has_no_column_for_them() {
        insta::assert_snapshot!(told(script::hostless()));
    }

    #[test]
    fn what_fails_alike_on_many_hosts_is_told_once_with_their_names() {
        insta::assert_snapshot!(told(script::unanswered()));
    }

    #[test]
    fn nothing_is_said_before_the_end() {
        let mut script = script::troubled();
        script.pop();
        assert_eq!(told(script), "");
    }
}
