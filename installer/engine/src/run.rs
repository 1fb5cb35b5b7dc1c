use std::sync::{Arc, Mutex, PoisonError};

use event::{Event, Events, Outcome, Progress, RunOutcome, UnitId};
use jiff::Timestamp;
use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::ahead::Ahead;
use crate::drive::{Ended, Ready, Skipped, Visitor, drive};
use crate::graph::{Graph, Work};
use crate::proofs::Proofs;
use crate::rolls::Look;
use crate::tally::Tally;
use crate::telling::{Units, timed};
use crate::turns::Turns;
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
    let history = journal.history()?;
    let proofs = Proofs::of(graph, &options.bundle, &history.proven);
    let turns = Turns::of(graph, &history.begun);
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
        tally: Mutex::new(Tally::of(graph, proofs, turns)),
        ahead: Ahead::of(graph),
        units: Units::of(graph),
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

pub(crate) struct Runner<'a> {
    pub(crate) graph: &'a Graph,
    inventory: &'a Inventory,
    options: &'a RunOptions,
    journal: &'a Journal,
    pub(crate) events: &'a Events,
    stop: CancellationToken,
    tally: Mutex<Tally>,
    ahead: Ahead<'a>,
    pub(crate) units: Units,
}

impl Visitor for Runner<'_> {
    async fn visit(&self, ready: Ready<'_>) -> Ended {
        let Ready { index, work, .. } = ready;
        self.unit_of(ready, async |id| {
            if self.passes_over(work) {
                let seen = "as an earlier run has proven it; nothing has changed since";
                self.events.progress(id, None).seen(seen, None);
                return Ok(Outcome::Satisfied);
            }
            let outcome = self.bring_about(index, work, id).await?;
            self.end_turn(index, work).await?;
            Ok(outcome)
        })
        .await
    }

    async fn look(&self, first: Ready<'_>, asked: &[(NodeIndex, &Work)]) -> Look {
        match self.looked(first.work, asked).await {
            Ok(look) => look,
            Err(error) => {
                let interrupted = error.is_interrupted();
                self.unit_of(first, async |_| Err(error)).await;
                if interrupted {
                    Look::Interrupted
                } else {
                    Look::Lost
                }
            }
        }
    }

    fn pass(&self, ready: Ready<'_>) {
        self.tell_passed(ready);
    }

    fn skip(&self, work: &Work, why: Skipped) {
        self.tell_skipped(work, why);
    }
}

impl Runner<'_> {
    /// Asks for a turn whether anything of it is needed, and whether that has to wait for the turn.
    async fn looked(&self, first: &Work, asked: &[(NodeIndex, &Work)]) -> Result<Look, StepError> {
        let mut is_needed = false;
        for &(index, work) in asked {
            is_needed = self.is_needed(index, work).await.map_err(|error| {
                let is_first = std::ptr::eq(work, first);
                // It is told of the first step of the turn, which is not what was asked.
                if is_first {
                    error
                } else {
                    error.about(&work.step.describe())
                }
            })?;
            if is_needed {
                break;
            }
        }
        if !is_needed {
            let is_open = self.tally().turns.is_open(first);
            return Ok(if is_open { Look::Due } else { Look::Idle });
        }
        for (_, work) in asked.iter().filter(|(_, work)| work.is_act()) {
            let (cx, path) = (self.cx(work, Progress::unseen())?, self.graph.path(work));
            let at_work = async || {
                let asked = cx.unless_stopped(work.step.at_work(&cx));
                timed(&path, "look", asked).await
            };
            if self.retried(work, None, at_work).await? {
                return Ok(Look::Due);
            }
        }
        self.tally().turns.is_fresh(first);
        Ok(Look::Fresh)
    }

    async fn is_needed(&self, index: NodeIndex, work: &Work) -> Result<bool, StepError> {
        let (cx, path) = (self.cx(work, Progress::unseen())?, self.graph.path(work));
        let check = async || {
            let asked = cx.unless_stopped(self.ahead.check(index, work, &cx));
            timed(&path, "look", asked).await
        };
        let state = self.retried(work, None, check).await?;
        match state {
            State::Satisfied => filled(work.step.as_ref()).map(|()| false),
            State::Needed(_) => Ok(true),
        }
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

    /// Notes that a host of a roll is well after its acts, if that is the last of its turn.
    async fn end_turn(&self, index: NodeIndex, work: &Work) -> Result<(), StepError> {
        let acts = self.tally().turns.went_well(self.graph, index, work);
        for act in acts {
            let (at, node) = (Timestamp::now(), self.graph.path(act));
            self.record(Record::TurnEnded { at, node }).await?;
        }
        Ok(())
    }

    fn key(&self, work: &Work) -> String {
        Journal::key(
            &self.graph.path(work),
            &work.step.inputs(),
            &self.options.bundle,
        )
    }

    /// check → (satisfied | needed → apply → check again), with the retries that the step allows.
    async fn bring_about(
        &self,
        index: NodeIndex,
        work: &Work,
        id: UnitId,
    ) -> Result<Outcome, StepError> {
        let path = self.graph.path(work);
        if self.options.inject_error.as_deref() == Some(&path) {
            return Err(StepError::new(
                "this error was asked for with --inject-error",
            ));
        }
        let cx = self.cx(work, self.events.progress(id, work.step.bytes()))?;
        let outcome = self
            .retried(work, Some(id), async || {
                self.attempt(index, work, &path, &cx).await
            })
            .await?;
        self.prove(work).await?;
        Ok(outcome)
    }

    fn cx(&self, work: &Work, progress: Progress) -> Result<Cx, StepError> {
        let host = self.inventory.get(work.done_on());
        let host =
            host.ok_or_else(|| StepError::new(format!("no host is called '{}'", work.done_on())))?;
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
                        () = self.stop.cancelled() => {
                            return Err(StepError::interrupted(&error.to_string()));
                        }
                    }
                }
                ended => return ended,
            }
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        index: NodeIndex,
        work: &Work,
        path: &str,
        cx: &Cx,
    ) -> Result<Outcome, StepError> {
        let step = &work.step;
        let asked = cx.unless_stopped(self.ahead.check(index, work, cx));
        let State::Needed(reason) = timed(path, "check", asked).await? else {
            return filled(step.as_ref()).map(|()| Outcome::Satisfied);
        };
        let _doing = self.ahead.doing(work);
        if step.trace() != Trace::Lasting {
            return self
                .apply(step.as_ref(), path, cx)
                .await
                .map(|()| Outcome::Satisfied);
        }
        let (key, node) = (self.key(work), path.to_owned());
        self.tally().touch(work);
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

    pub(crate) fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
