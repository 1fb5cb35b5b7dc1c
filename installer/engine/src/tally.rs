use std::time::{Duration, Instant};

use event::StageOutcome;

use crate::graph::{Graph, Work};
use crate::proofs::Proofs;
use crate::run::Failure;
use crate::turns::Turns;
use crate::{JournalError, Name};

/// The counts of a run.
pub(crate) struct Tally {
    /// How often something was as much as begun.
    pub(crate) touched: u64,
    pub(crate) changed: u64,
    pub(crate) satisfied: u64,
    pub(crate) skipped: u64,
    /// Whether a step was cut short.
    pub(crate) interrupted: bool,
    pub(crate) failures: Vec<Failure>,
    pub(crate) journal_error: Option<JournalError>,
    /// By position.
    stages: Vec<StageTally>,
    pub(crate) proofs: Proofs,
    pub(crate) turns: Turns,
}

struct StageTally {
    open: usize,
    started: Option<Instant>,
    worst: StageOutcome,
}

impl Tally {
    pub(crate) fn of(graph: &Graph, proofs: Proofs, turns: Turns) -> Self {
        let stage = |_: &Name| StageTally {
            open: 0,
            started: None,
            worst: StageOutcome::Satisfied,
        };
        let mut stages: Vec<StageTally> = graph.stages.iter().map(stage).collect();
        for (_, work) in graph.work() {
            stages[graph.task_of(work).stage].open += 1;
        }
        Self {
            touched: 0,
            changed: 0,
            satisfied: 0,
            skipped: 0,
            interrupted: false,
            failures: Vec::new(),
            journal_error: None,
            stages,
            proofs,
            turns,
        }
    }

    /// This is about to be done.
    pub(crate) fn touch(&mut self, work: &Work) {
        self.touched += 1;
        self.turns.begin(work);
    }

    /// Whether the stage begins with this.
    pub(crate) fn begin(&mut self, stage: usize) -> bool {
        let tally = &mut self.stages[stage];
        let begins = tally.started.is_none();
        tally.started.get_or_insert_with(Instant::now);
        begins
    }

    /// How the stage ended, if this was its last unit.
    pub(crate) fn close(
        &mut self,
        stage: usize,
        outcome: StageOutcome,
    ) -> Option<(StageOutcome, Duration)> {
        let tally = &mut self.stages[stage];
        tally.open -= 1;
        if rank(outcome) > rank(tally.worst) {
            tally.worst = outcome;
        }
        let took = tally
            .started
            .map_or(Duration::ZERO, |started| started.elapsed());
        (tally.open == 0).then_some((tally.worst, took))
    }
}

fn rank(outcome: StageOutcome) -> u8 {
    match outcome {
        StageOutcome::Satisfied => 0,
        StageOutcome::Changed => 1,
        StageOutcome::Skipped => 2,
        StageOutcome::Failed => 3,
    }
}
