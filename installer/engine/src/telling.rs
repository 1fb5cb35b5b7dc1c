use std::fmt::Debug;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use event::{Event, Outcome, StageOutcome, Unit, UnitId};
use petgraph::graph::NodeIndex;

use crate::StepError;
use crate::drive::{Ended, Ready, Skipped};
use crate::graph::{Graph, Work};
use crate::run::{Failure, Runner};

/// As what each node is told of, once it has begun.
pub(crate) struct Units(Vec<OnceLock<UnitId>>);

impl Units {
    pub(crate) fn of(graph: &Graph) -> Self {
        let nodes = graph.nodes.node_indices();
        Self(nodes.map(|_| OnceLock::new()).collect())
    }

    fn of_node(&self, index: NodeIndex) -> Option<UnitId> {
        self.0[index.index()].get().copied()
    }

    fn begins(&self, index: NodeIndex, id: UnitId) {
        // A node begins once.
        let _ = self.0[index.index()].set(id);
    }
}

/// What a run tells those who watch.
impl Runner<'_> {
    /// Tells how a unit begins and ends, and what came of it.
    pub(crate) async fn unit_of(
        &self,
        ready: Ready<'_>,
        act: impl AsyncFnOnce(UnitId) -> Result<Outcome, StepError>,
    ) -> Ended {
        let work = ready.work;
        self.begin_stage(work);
        let started = Instant::now();
        let unit = self.begun(ready);
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

    /// A unit that has nothing to do.
    pub(crate) fn tell_passed(&self, ready: Ready<'_>) {
        let work = ready.work;
        self.begin_stage(work);
        let unit = self.begun(ready);
        let id = unit.id;
        self.events.emit(&Event::Started(unit));
        self.events.emit(&Event::Finished {
            id,
            outcome: Outcome::Satisfied,
            took: Duration::ZERO,
        });
        self.end_in_stage(work, &Outcome::Satisfied);
    }

    pub(crate) fn tell_skipped(&self, work: &Work, why: Skipped) {
        self.tally().skipped += 1;
        self.events.emit(&Event::Skipped {
            unit: self.unit(work),
            because: because(self.graph, why),
        });
        self.close_in_stage(work, StageOutcome::Skipped);
    }

    /// A unit that begins, and what it has waited for.
    fn begun(&self, ready: Ready<'_>) -> Unit {
        let unit = Unit {
            after: ready.after.and_then(|ahead| self.units.of_node(ahead)),
            ..self.unit(ready.work)
        };
        self.units.begins(ready.index, unit.id);
        unit
    }

    fn unit(&self, work: &Work) -> Unit {
        Unit {
            id: self.events.next_id(),
            stage: self.graph.stage_of(work).to_string(),
            task: Some(self.graph.task_of(work).name.to_string()),
            host: Some(work.host.to_string()),
            title: work.step.describe(),
            bytes: work.step.bytes(),
            after: None,
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
}

/// Does a part of a node, and tells the diagnostics how long it took.
pub(crate) async fn timed<T: Debug>(
    node: &str,
    part: &'static str,
    work: impl Future<Output = Result<T, StepError>>,
) -> Result<T, StepError> {
    let began = Instant::now();
    let result = work.await;
    tracing::debug!(node, part, took = ?began.elapsed(), ?result);
    result
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
