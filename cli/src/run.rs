//! A command that is one run to whoever watches: it begins, units come and go, it ends with their sum.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use artifact::Tree;
use camino::Utf8PathBuf;
use event::{Event, Events, Outcome, RunOutcome, Sink};
use jiff::Timestamp;

use crate::error::{Exit, Failure};
use crate::output::{Paint, Printer, Report};
use crate::recorded;

/// What is known of a run when it begins.
pub struct Run<'a> {
    pub command: &'static str,
    pub cluster: &'a str,
    pub units: usize,
    /// Where its report is written.
    pub reports: Utf8PathBuf,
}

impl Run<'_> {
    /// Does the work between the first event and the last. However it ends, there is a report of it.
    pub fn tell(
        self,
        printer: &Printer,
        work: impl FnOnce(&Events) -> Result<RunOutcome, Failure>,
    ) -> Result<(), Failure> {
        self.told(printer, |sinks| printer.run(sinks), work)
    }

    /// The same for a run of which `result` tells what came of it, instead of the summary.
    pub fn tell_for(
        self,
        printer: &Printer,
        result: Arc<dyn Sink>,
        work: impl FnOnce(&Events) -> Result<RunOutcome, Failure>,
    ) -> Result<(), Failure> {
        let events = |mut sinks: Vec<Arc<dyn Sink>>| {
            sinks.push(result);
            printer.watch(sinks)
        };
        self.told(printer, events, work)
    }

    fn told(
        self,
        printer: &Printer,
        events: impl FnOnce(Vec<Arc<dyn Sink>>) -> Events,
        work: impl FnOnce(&Events) -> Result<RunOutcome, Failure>,
    ) -> Result<(), Failure> {
        let report = Arc::new(Report::in_dir(self.reports.clone()));
        let tree = self.reports.parent().map(Tree::at);
        let before = tree.as_ref().map(recorded::applied).unwrap_or_default();
        let tally = Arc::new(Tally::default());
        let events = events(vec![report.clone(), tally.clone()]);
        let began = Instant::now();
        events.emit(&Event::RunStarted {
            command: self.command.to_owned(),
            cluster: self.cluster.to_owned(),
            units: self.units as u64,
        });
        let result = work(&events);
        let outcome = match &result {
            Ok(outcome) => *outcome,
            Err(failure) if failure.exit() == Exit::Interrupted => RunOutcome::Interrupted,
            Err(_) => RunOutcome::Failed,
        };
        if let Some(tree) = &tree {
            report.tell_versions(recorded::compared(&before, tree));
        }
        if let Err(failure) = &result
            && !matches!(failure, Failure::Told(_))
        {
            report.tell_error(failure.told(Paint::Plain));
        }
        let counts = tally.counts();
        events.emit(&Event::RunFinished {
            outcome,
            took: began.elapsed(),
            changed: counts.changed,
            satisfied: counts.satisfied,
            failed: counts.failed,
            skipped: counts.skipped,
        });
        printer.reported(&report);
        match (outcome, result) {
            (RunOutcome::Done, _) => Ok(()),
            (RunOutcome::Interrupted, _) => Err(Failure::Told(Exit::Interrupted)),
            (RunOutcome::Failed, result) => {
                Err(result.err().unwrap_or(Failure::Told(Exit::Failed)))
            }
        }
    }
}

/// Counts how units end.
#[derive(Default)]
struct Tally(Mutex<Counts>);

#[derive(Clone, Copy, Default)]
struct Counts {
    changed: u64,
    satisfied: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    fn counts(&self) -> Counts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tally {
    fn on(&self, _: Timestamp, event: &Event) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = match event {
            Event::Finished { outcome, .. } => match outcome {
                Outcome::Satisfied => &mut counts.satisfied,
                Outcome::Changed { .. } => &mut counts.changed,
                Outcome::Failed { .. } => &mut counts.failed,
                Outcome::Interrupted => &mut counts.skipped,
            },
            Event::Skipped { .. } => &mut counts.skipped,
            _ => return,
        };
        *count += 1;
    }
}
