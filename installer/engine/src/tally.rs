use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use event::StageOutcome;

use crate::JournalError;
use crate::graph::Graph;
use crate::run::Failure;

/// The counts of a run.
pub(crate) struct Tally {
    /// Whether anything was as much as begun.
    pub(crate) touched: bool,
    pub(crate) changed: u64,
    pub(crate) satisfied: u64,
    pub(crate) skipped: u64,
    pub(crate) failures: Vec<Failure>,
    pub(crate) journal_error: Option<JournalError>,
    stages: BTreeMap<&'static str, StageTally>,
}

struct StageTally {
    open: usize,
    started: Option<Instant>,
    worst: StageOutcome,
}

impl Tally {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut stages: BTreeMap<&'static str, StageTally> = BTreeMap::new();
        for (_, work) in graph.work() {
            stages
                .entry(work.stage)
                .or_insert(StageTally {
                    open: 0,
                    started: None,
                    worst: StageOutcome::Satisfied,
                })
                .open += 1;
        }
        Self {
            touched: false,
            changed: 0,
            satisfied: 0,
            skipped: 0,
            failures: Vec::new(),
            journal_error: None,
            stages,
        }
    }

    /// Whether the stage begins with this.
    pub(crate) fn begin(&mut self, stage: &str) -> bool {
        match self.stages.get_mut(stage) {
            Some(tally) if tally.started.is_none() => {
                tally.started = Some(Instant::now());
                true
            }
            _ => false,
        }
    }

    /// How the stage ended, if this was its last unit.
    pub(crate) fn close(
        &mut self,
        stage: &str,
        outcome: StageOutcome,
    ) -> Option<(StageOutcome, Duration)> {
        let tally = self.stages.get_mut(stage)?;
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
