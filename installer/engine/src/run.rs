use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::{Event, Events, Outcome, Progress, RunOutcome, StageOutcome, Unit, UnitId};
use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::drive::{Ended, Skipped, Visitor, drive};
use crate::graph::{Graph, Work};
use crate::proofs::Proofs;
use crate::rolls::Look;
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
    let proofs = Proofs::of(graph, &options.bundle, &journal.proven()?);
    journal.write(&Record::RunStarted {
        at: Timestamp::now(),
        plan: graph.name.to_string(),
        bundle: options.bundle.clone(),
    })?;
    let runner = Runner {
        graph,
        inventory,
        options,
        journal,
        events,
        // A journal that cannot be written stops the run as Ctrl-C does, without being Ctrl-C.
        stop: cancel.child_token(),
        tally: Mutex::new(Tally::of(graph, proofs)),
    };
    drive(graph, options.jobs, &runner.stop, &runner).await;

    let tally = runner
        .tally
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = tally.journal_error {
        return Err(error);
    }
    let outcome = if cancel.is_cancelled() && (tally.interrupted || tally.skipped > 0) {
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
    let failed = |cause| {
        let work = graph.work_at(cause)?;
        Some(format!(
            "'{}' failed on {}",
            work.step.describe(),
            work.host
        ))
    };
    let (before, cause) = match why {
        Skipped::Interrupted => return "the run was interrupted".to_owned(),
        Skipped::Behind(cause) => ("", cause),
        Skipped::Halted(cause) => ("it is left as it is: ", cause),
        Skipped::TooFew(cause) => ("it is left as it is, for too few others are up: ", cause),
    };
    let failed = failed(cause).unwrap_or_else(|| "something ahead of it failed".to_owned());
    format!("{before}{failed}")
}

struct Runner<'a> {
    graph: &'a Graph,
    inventory: &'a Inventory,
    options: &'a RunOptions,
    journal: &'a Journal,
    events: &'a Events,
    stop: CancellationToken,
    tally: Mutex<Tally>,
}

impl Visitor for Runner<'_> {
    async fn visit(&self, _: NodeIndex, work: &Work) -> Ended {
        self.unit_of(work, async |id| {
            if self.passes_over(work) {
                let seen = "as an earlier run has proven it; nothing has changed since";
                self.events.progress(id, None).seen(seen, None);
                return Ok(Outcome::Satisfied);
            }
            self.bring_about(work, id).await
        })
        .await
    }

    async fn look(&self, first: &Work, act: &Work) -> Look {
        match self.looked(act).await {
            Ok(look) => look,
            Err(error) => {
                self.unit_of(first, async |_| Err(error)).await;
                Look::Lost
            }
        }
    }

    fn pass(&self, _: NodeIndex, work: &Work) {
        self.begin_stage(work);
        let unit = self.unit(work);
        let id = unit.id;
        self.events.emit(&Event::Started(unit));
        self.events.emit(&Event::Finished {
            id,
            outcome: Outcome::Satisfied,
            took: Duration::ZERO,
        });
        self.end_in_stage(work, &Outcome::Satisfied);
    }

    fn skip(&self, work: &Work, why: Skipped) {
        self.tally().skipped += 1;
        self.events.emit(&Event::Skipped {
            unit: self.unit(work),
            because: because(self.graph, why),
        });
        self.close_in_stage(work, StageOutcome::Skipped);
    }
}

impl Runner<'_> {
    /// Tells how a unit begins and ends, and what came of it.
    async fn unit_of(
        &self,
        work: &Work,
        act: impl AsyncFnOnce(UnitId) -> Result<Outcome, StepError>,
    ) -> Ended {
        self.begin_stage(work);
        let started = Instant::now();
        let unit = self.unit(work);
        let id = unit.id;
        self.events.emit(&Event::Started(unit));
        let outcome = match act(id).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_interrupted() => Outcome::Interrupted,
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
        tracing::info!(node = self.graph.path(work), ?took, ?outcome);
        self.events.emit(&Event::Finished {
            id,
            outcome: outcome.clone(),
            took,
        });
        self.end_in_stage(work, &outcome);
        match outcome {
            Outcome::Satisfied | Outcome::Changed { .. } => Ended::Succeeded,
            Outcome::Failed { .. } => Ended::Failed,
            Outcome::Interrupted => Ended::Interrupted,
        }
    }

    /// Asks for an act of a roll whether it is needed, and whether it has to wait for its turn.
    async fn looked(&self, act: &Work) -> Result<Look, StepError> {
        let path = self.graph.path(act);
        let cx = self.cx(act, Progress::unseen())?;
        let step = act.step.as_ref();
        self.retried(act, None, async || {
            if let State::Satisfied = timed(&path, "look", step.check(&cx)).await? {
                return filled(step).map(|()| Look::Idle);
            }
            let at_work = timed(&path, "look", step.at_work(&cx)).await?;
            Ok(if at_work { Look::Due } else { Look::Fresh })
        })
        .await
    }

    fn passes_over(&self, work: &Work) -> bool {
        let mut tally = self.tally();
        let touched = tally.touched;
        tally.proofs.passes_over(work, touched)
    }

    /// Notes that a task is proven, if that is the last of its steps to go well.
    async fn prove(&self, work: &Work) -> Result<(), StepError> {
        let key = {
            let mut tally = self.tally();
            let touched = tally.touched;
            tally.proofs.went_well(work, touched).map(str::to_owned)
        };
        let Some(key) = key else { return Ok(()) };
        let at = Timestamp::now();
        self.record(Record::Proven { at, key }).await
    }

    fn key(&self, work: &Work) -> String {
        Journal::key(
            &self.graph.path(work),
            &work.step.inputs(),
            &self.options.bundle,
        )
    }

    /// check → (satisfied | needed → apply → check again), with the retries that the step allows.
    async fn bring_about(&self, work: &Work, id: UnitId) -> Result<Outcome, StepError> {
        let path = self.graph.path(work);
        if self.options.inject_error.as_deref() == Some(&path) {
            return Err(StepError::new(
                "this error was asked for with --inject-error",
            ));
        }
        let cx = self.cx(work, self.events.progress(id, work.step.bytes()))?;
        let outcome = self
            .retried(work, Some(id), async || {
                self.attempt(work, &path, &cx).await
            })
            .await?;
        self.prove(work).await?;
        Ok(outcome)
    }

    fn cx(&self, work: &Work, progress: Progress) -> Result<Cx, StepError> {
        let host = self.inventory.get(work.host.as_str());
        let host =
            host.ok_or_else(|| StepError::new(format!("no host is called '{}'", work.host)))?;
        Ok(Cx::stopped_by(
            Arc::clone(host),
            progress,
            self.stop.clone(),
        ))
    }

    /// Tries as often as the step allows.
    async fn retried<T>(
        &self,
        work: &Work,
        id: Option<UnitId>,
        act: impl AsyncFn() -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let retry = work.step.retry();
        let mut delay = retry.first_delay;
        let mut attempt = 1;
        loop {
            match act().await {
                Err(error) if error.may_pass() && attempt < retry.attempts => {
                    if let Some(id) = id {
                        self.events.emit(&Event::Retrying {
                            id,
                            attempt,
                            error: error.to_string(),
                            delay,
                        });
                    }
                    tokio::select! {
                        () = tokio::time::sleep(delay) => delay = retry.next_delay(delay),
                        () = self.stop.cancelled() => return Err(error),
                    }
                }
                ended => return ended,
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, work: &Work, path: &str, cx: &Cx) -> Result<Outcome, StepError> {
        let step = &work.step;
        let State::Needed(reason) = timed(path, "check", step.check(cx)).await? else {
            return filled(step.as_ref()).map(|()| Outcome::Satisfied);
        };
        if step.trace() != Trace::Lasting {
            return self
                .apply(step.as_ref(), path, cx)
                .await
                .map(|()| Outcome::Satisfied);
        }
        let (key, node) = (self.key(work), path.to_owned());
        self.tally().touched += 1;
        self.record(Record::Began {
            at: Timestamp::now(),
            key: key.clone(),
            node: node.clone(),
            reason: reason.clone(),
        })
        .await?;
        let applied = self.apply(step.as_ref(), path, cx).await;
        let result = match &applied {
            Ok(()) => "changed".to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        self.record(Record::Ended {
            at: Timestamp::now(),
            key,
            node,
            result,
        })
        .await?;
        applied.map(|()| Outcome::Changed { reason })
    }

    async fn apply(&self, step: &dyn Step, path: &str, cx: &Cx) -> Result<(), StepError> {
        timed(path, "apply", step.apply(cx)).await?;
        match timed(path, "check again", step.check(cx)).await? {
            State::Satisfied => filled(step),
            State::Needed(still) => Err(StepError::new(format!("it was done, and yet: {still}"))),
        }
    }

    async fn record(&self, record: Record) -> Result<(), StepError> {
        self.journal.record(record).await.map_err(|error| {
            let failure = StepError::new(error.to_string());
            self.tally().journal_error.get_or_insert(error);
            self.stop.cancel();
            failure
        })
    }

    fn unit(&self, work: &Work) -> Unit {
        Unit {
            id: self.events.next_id(),
            stage: self.graph.stage_of(work).to_string(),
            host: Some(work.host.to_string()),
            title: work.step.describe(),
            bytes: work.step.bytes(),
        }
    }

    fn note_failure(&self, work: &Work, error: StepError) {
        self.tally().failures.push(Failure {
            stage: self.graph.stage_of(work).to_string(),
            host: work.host.to_string(),
            title: work.step.describe(),
            error,
        });
    }

    fn begin_stage(&self, work: &Work) {
        let begins = self.tally().begin(self.graph.task_of(work).stage);
        if begins {
            self.events.emit(&Event::StageStarted {
                stage: self.graph.stage_of(work).to_string(),
            });
        }
    }

    fn end_in_stage(&self, work: &Work, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Satisfied => {
                self.tally().satisfied += 1;
                StageOutcome::Satisfied
            }
            Outcome::Changed { .. } => {
                self.tally().changed += 1;
                StageOutcome::Changed
            }
            Outcome::Failed { .. } => StageOutcome::Failed,
            Outcome::Interrupted => {
                self.tally().interrupted = true;
                StageOutcome::Skipped
            }
        };
        self.close_in_stage(work, outcome);
    }

    fn close_in_stage(&self, work: &Work, outcome: StageOutcome) {
        let stage = self.graph.task_of(work).stage;
        let finished = self.tally().close(stage, outcome);
        if let Some((outcome, took)) = finished {
            self.events.emit(&Event::StageFinished {
                stage: self.graph.stage_of(work).to_string(),
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
