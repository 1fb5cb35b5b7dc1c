use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use event::{Event, Events, Outcome, RunOutcome, StageOutcome, Unit, UnitId};
use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::drive::{Ended, Skipped, drive};
use crate::graph::{Graph, Work};
use crate::plan::When;
use crate::tally::Tally;
use crate::{Cx, Inventory, Journal, JournalError, Record, State, Step, StepError, Trace};

/// How a graph is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Names the bundle in the journal's keys.
    pub bundle: String,
    /// How many steps run at once, over all hosts.
    pub jobs: usize,
    /// The node that shall fail instead of being applied, for tests of what happens then.
    pub inject_error: Option<String>,
}

/// What a run came to.
#[derive(Debug)]
pub struct RunReport {
    pub outcome: RunOutcome,
    pub changed: u64,
    pub satisfied: u64,
    pub skipped: u64,
    pub failures: Vec<Failure>,
}

/// One step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub stage: String,
    pub host: String,
    pub title: String,
    pub error: StepError,
}

/// Runs every step of a graph on its host, in order and side by side. A failure stops what depends on it and nothing
/// else. Only a journal that cannot be written is an error: then nothing more is started.
///
/// Tells of stages and units. That the whole began and ended is for the caller to tell: this may be only a part of it.
pub async fn run(
    graph: &Graph,
    inventory: &Inventory,
    options: &RunOptions,
    journal: &Journal,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<RunReport, JournalError> {
    let proven = journal.proven()?;
    journal.write(&Record::RunStarted {
        at: Timestamp::now(),
        plan: graph.name.to_owned(),
        bundle: options.bundle.clone(),
    })?;
    let runner = Runner {
        inventory,
        options,
        journal,
        proven,
        events,
        // A journal that cannot be written stops the run as Ctrl-C does, without being Ctrl-C.
        stop: cancel.child_token(),
        tally: Mutex::new(Tally::of(graph)),
    };
    drive(
        graph,
        options.jobs,
        &runner.stop,
        |_, work| runner.visit(work),
        |work, why| runner.skip(work, &because(graph, why)),
    )
    .await;

    let tally = runner
        .tally
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = tally.journal_error {
        return Err(error);
    }
    let outcome = if cancel.is_cancelled() && tally.skipped > 0 {
        RunOutcome::Interrupted
    } else if tally.failures.is_empty() {
        RunOutcome::Done
    } else {
        RunOutcome::Failed
    };
    journal.write(&Record::RunEnded {
        at: Timestamp::now(),
        result: format!("{outcome:?}"),
    })?;
    Ok(RunReport {
        outcome,
        changed: tally.changed,
        satisfied: tally.satisfied,
        skipped: tally.skipped,
        failures: tally.failures,
    })
}

fn because(graph: &Graph, why: Skipped) -> String {
    match why {
        Skipped::Interrupted => "the run was interrupted".to_owned(),
        Skipped::Behind(cause) => match work_at(graph, cause) {
            Some(work) => format!("'{}' failed on {}", work.step.describe(), work.host),
            None => "something ahead of it failed".to_owned(),
        },
    }
}

fn work_at(graph: &Graph, index: NodeIndex) -> Option<&Work> {
    graph
        .work()
        .find_map(|(at, work)| (at == index).then_some(work))
}

struct Runner<'a> {
    inventory: &'a Inventory,
    options: &'a RunOptions,
    journal: &'a Journal,
    /// What earlier runs have proven, by key.
    proven: HashSet<String>,
    events: &'a Events,
    stop: CancellationToken,
    tally: Mutex<Tally>,
}

impl Runner<'_> {
    async fn visit(&self, work: &Work) -> Ended {
        self.begin_stage(work.stage);
        let started = Instant::now();
        let unit = self.unit(work);
        let id = unit.id;
        self.events.emit(&Event::Started(unit));
        let ended = if self.is_proven(work) {
            let seen = "as an earlier run has proven it; nothing has changed since";
            self.events.progress(id, None).seen(seen, None);
            Ok(Outcome::Satisfied)
        } else {
            self.bring_about(work, id).await
        };
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(error) => {
                let hint = error.hint().map(ToOwned::to_owned);
                let outcome = Outcome::Failed {
                    error: error.to_string(),
                    hint,
                };
                self.note_failure(work, error);
                outcome
            }
        };
        let took = started.elapsed();
        tracing::info!(node = work.path(), ?took, ?outcome);
        self.events.emit(&Event::Finished {
            id,
            outcome: outcome.clone(),
            took,
        });
        self.end_in_stage(work.stage, &outcome);
        if matches!(outcome, Outcome::Failed { .. }) {
            Ended::Failed
        } else {
            Ended::Succeeded
        }
    }

    /// Whether the step was done since anything was last touched, and only then would have to be done again.
    fn is_proven(&self, work: &Work) -> bool {
        work.when == When::AfterChanges
            && !self.tally().touched
            && self.proven.contains(&self.key(work))
    }

    fn key(&self, work: &Work) -> String {
        Journal::key(&work.path(), &work.step.inputs(), &self.options.bundle)
    }

    /// check → (satisfied | needed → apply → check again), with the retries that the step allows.
    async fn bring_about(&self, work: &Work, id: UnitId) -> Result<Outcome, StepError> {
        let path = work.path();
        if self.options.inject_error.as_deref() == Some(&path) {
            return Err(StepError::new(
                "this error was asked for with --inject-error",
            ));
        }
        let host = self
            .inventory
            .get(&work.host)
            .ok_or_else(|| StepError::new(format!("no host is called '{}'", work.host)))?;
        let cx = Cx {
            host: Arc::clone(host),
            progress: self.events.progress(id, work.step.bytes()),
        };
        let retry = work.step.retry();
        let mut delay = retry.first_delay;
        for attempt in 1.. {
            match self.attempt(work, &path, &cx).await {
                Err(error) if error.may_pass() && attempt < retry.attempts => {
                    self.events.emit(&Event::Retrying {
                        id,
                        attempt,
                        error: error.to_string(),
                        delay,
                    });
                    tokio::select! {
                        () = tokio::time::sleep(delay) => delay = retry.next_delay(delay),
                        () = self.stop.cancelled() => return Err(error),
                    }
                }
                Ok(outcome) => {
                    if work.when == When::AfterChanges {
                        self.record(&Record::Proven {
                            at: Timestamp::now(),
                            key: self.key(work),
                        })?;
                    }
                    return Ok(outcome);
                }
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&self, work: &Work, path: &str, cx: &Cx) -> Result<Outcome, StepError> {
        let step = &work.step;
        let State::Needed(reason) = timed(path, "check", step.check(cx)).await? else {
            return filled(step.as_ref()).map(|()| Outcome::Satisfied);
        };
        if step.trace() == Trace::Passing {
            return self
                .apply(step.as_ref(), path, cx)
                .await
                .map(|()| Outcome::Satisfied);
        }
        let (key, node) = (self.key(work), path.to_owned());
        self.tally().touched = true;
        self.record(&Record::Began {
            at: Timestamp::now(),
            key: key.clone(),
            node: node.clone(),
            reason: reason.clone(),
        })?;
        let applied = self.apply(step.as_ref(), path, cx).await;
        let result = match &applied {
            Ok(()) => "changed".to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        self.record(&Record::Ended {
            at: Timestamp::now(),
            key,
            node,
            result,
        })?;
        applied.map(|()| Outcome::Changed { reason })
    }

    async fn apply(&self, step: &dyn Step, path: &str, cx: &Cx) -> Result<(), StepError> {
        timed(path, "apply", step.apply(cx)).await?;
        match timed(path, "check again", step.check(cx)).await? {
            State::Satisfied => filled(step),
            State::Needed(still) => Err(StepError::new(format!("it was done, and yet: {still}"))),
        }
    }

    fn record(&self, record: &Record) -> Result<(), StepError> {
        self.journal.write(record).map_err(|error| {
            let failure = StepError::new(error.to_string());
            self.tally().journal_error.get_or_insert(error);
            self.stop.cancel();
            failure
        })
    }

    fn skip(&self, work: &Work, because: &str) {
        self.tally().skipped += 1;
        self.events.emit(&Event::Skipped {
            unit: self.unit(work),
            because: because.to_owned(),
        });
        self.close_in_stage(work.stage, StageOutcome::Skipped);
    }

    fn unit(&self, work: &Work) -> Unit {
        Unit {
            id: self.events.next_id(),
            stage: work.stage.to_owned(),
            host: Some(work.host.clone()),
            title: work.step.describe(),
            bytes: work.step.bytes(),
        }
    }

    fn note_failure(&self, work: &Work, error: StepError) {
        self.tally().failures.push(Failure {
            stage: work.stage.to_owned(),
            host: work.host.clone(),
            title: work.step.describe(),
            error,
        });
    }

    fn begin_stage(&self, stage: &'static str) {
        let begins = self.tally().begin(stage);
        if begins {
            self.events.emit(&Event::StageStarted {
                stage: stage.to_owned(),
            });
        }
    }

    fn end_in_stage(&self, stage: &'static str, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Satisfied => {
                self.tally().satisfied += 1;
                StageOutcome::Satisfied
            }
            Outcome::Changed { .. } => {
                self.tally().changed += 1;
                StageOutcome::Changed
            }
            Outcome::Failed { .. } | Outcome::Interrupted => StageOutcome::Failed,
        };
        self.close_in_stage(stage, outcome);
    }

    fn close_in_stage(&self, stage: &'static str, outcome: StageOutcome) {
        let finished = self.tally().close(stage, outcome);
        if let Some((outcome, took)) = finished {
            self.events.emit(&Event::StageFinished {
                stage: stage.to_owned(),
                outcome,
                took,
            });
        }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does a part of a node, and tells the diagnostics how long it took.
async fn timed<T: Debug>(
    node: &str,
    part: &'static str,
    work: impl Future<Output = Result<T, StepError>>,
) -> Result<T, StepError> {
    let began = Instant::now();
    let result = work.await;
    tracing::debug!(node, part, took = ?began.elapsed(), ?result);
    result
}

fn filled(step: &dyn Step) -> Result<(), StepError> {
    match step.fills().iter().find(|slot| !slot.is_full()) {
        Some(slot) => Err(StepError::new(format!(
            "'{}' promised '{}' and did not deliver it",
            step.describe(),
            slot.name()
        ))),
        None => Ok(()),
    }
}
