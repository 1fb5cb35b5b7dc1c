mod files;
mod record;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use event::{Event, Outcome, Sink, Unit, UnitId};
use jiff::Timestamp;

pub use files::{Written, name_of, named, page_of, reports, write_page};
pub use record::{End, Ended, EndedStage, Run, Versions};

/// Writes `report-<timestamp>.json` and its page when the run ends: all of it, as data and for people.
pub struct Report {
    dir: Utf8PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Run,
    running: HashMap<UnitId, Running>,
    written: Option<io::Result<Written>>,
}

/// A unit that has not ended.
struct Running {
    started: Timestamp,
    unit: Unit,
    tries: Option<u32>,
    seen: Option<(String, Option<String>)>,
}

impl Report {
    /// A report that will be written into this directory.
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            state: Mutex::default(),
        }
    }

    /// Says what the run has to do with which versions, before it ends.
    pub fn tell_versions(&self, versions: Vec<Versions>) {
        self.state().run.versions = versions;
    }

    /// Says why the run ended, where no unit tells it.
    pub fn tell_error(&self, error: String) {
        self.state().run.error = Some(error);
    }

    /// Where the report was written; none before the run has ended.
    pub fn take_written(&self) -> Option<io::Result<Written>> {
        self.state().written.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Report {
    fn on(&self, at: Timestamp, event: &Event) {
        let mut state = self.state();
        state.record(at, event, &self.dir);
        if matches!(event, Event::RunFinished { .. }) {
            state.written = Some(files::write(&self.dir, &state.run));
        }
    }
}

impl State {
    fn record(&mut self, at: Timestamp, event: &Event, dir: &Utf8Path) {
        let run = &mut self.run;
        match event {
            Event::RunStarted {
                command, cluster, ..
            } => {
                env!("CARGO_PKG_VERSION").clone_into(&mut run.kubexm);
                run.command.clone_from(command);
                run.cluster.clone_from(cluster);
                run.started = Some(at);
            }
            Event::StageFinished {
                stage,
                outcome,
                took,
            } => {
                run.stages.push(EndedStage {
                    stage: stage.clone(),
                    outcome: *outcome,
                    took: millis(*took),
                });
            }
            Event::Started(unit) => {
                let running = Running {
                    started: at,
                    unit: unit.clone(),
                    tries: None,
                    seen: None,
                };
                self.running.insert(unit.id, running);
            }
            Event::Seen { id, what, warning } => {
                if let Some(running) = self.running.get_mut(id) {
                    running.seen = Some((what.clone(), warning.clone()));
                }
            }
            Event::Retrying { id, attempt, .. } => {
                if let Some(running) = self.running.get_mut(id) {
                    running.tries = Some(attempt + 1);
                }
            }
            Event::Finished { id, outcome, took } => {
                if let Some(running) = self.running.remove(id) {
                    run.units.push(running.ended(outcome, *took, dir));
                }
            }
            Event::Skipped { unit, because } => {
                let because = because.clone();
                run.units
                    .push(Ended::of(unit.clone(), End::Skipped { because }));
            }
            Event::Warning { message, .. } => run.warnings.push(message.clone()),
            Event::RunFinished {
                outcome,
                took,
                changed,
                satisfied,
                failed,
                skipped,
            } => {
                run.finished = Some(at);
                run.outcome = Some(*outcome);
                run.took = millis(*took);
                (run.changed, run.satisfied) = (*changed, *satisfied);
                (run.failed, run.skipped) = (*failed, *skipped);
            }
            Event::StageStarted { .. }
            | Event::Progress { .. }
            | Event::Waiting { .. }
            | Event::Note { .. } => {}
        }
    }
}

impl Running {
    fn ended(self, outcome: &Outcome, took: Duration, dir: &Utf8Path) -> Ended {
        let log = match (outcome, &self.unit.host) {
            (Outcome::Failed { .. }, Some(host)) => tail::of_host(dir, host),
            _ => Vec::new(),
        };
        let (seen, warning) = self.seen.unzip();
        Ended {
            started: Some(self.started),
            took: Some(millis(took)),
            tries: self.tries,
            seen,
            warning: warning.flatten(),
            log,
            ..Ended::of(self.unit, outcome.clone().into())
        }
    }
}

impl Ended {
    fn of(unit: Unit, end: End) -> Self {
        let Unit {
            id,
            stage,
            task,
            host,
            title,
            bytes,
            after,
        } = unit;
        Self {
            id: Some(id),
            after,
            stage,
            task,
            host,
            title,
            bytes,
            started: None,
            took: None,
            tries: None,
            seen: None,
            warning: None,
            end,
            log: Vec::new(),
        }
    }
}

impl From<Outcome> for End {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Satisfied => Self::Satisfied,
            Outcome::Changed { reason } => Self::Changed { reason },
            Outcome::Failed { error, hint } => Self::Failed { error, hint },
            Outcome::Interrupted => Self::Interrupted,
        }
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
