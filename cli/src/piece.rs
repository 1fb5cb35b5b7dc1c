//! Work that is one unit of its own: reading a bundle, unpacking it.

use std::time::Instant;

use artifact::Verdict;
use event::{Event, Events, Outcome, Progress, Unit};

/// What the work is called, and how many bytes it moves.
#[derive(Clone, Debug)]
pub struct Piece {
    pub stage: &'static str,
    pub title: String,
    pub bytes: u64,
}

impl Piece {
    /// Does the work between its events. `outcome` words what it came to.
    pub fn run<T, E>(
        self,
        events: &Events,
        work: impl FnOnce(&Progress) -> Result<T, E>,
        outcome: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, E> {
        let Self {
            stage,
            title,
            bytes,
        } = self;
        let (id, stage, bytes) = (events.next_id(), stage.to_owned(), Some(bytes));
        let began = Instant::now();
        let unit = Unit {
            id,
            stage,
            task: None,
            host: None,
            title,
            bytes,
            after: None,
        };
        events.emit(&Event::Started(unit));
        let result = work(&events.progress(id, bytes));
        let outcome = outcome(&result);
        events.emit(&Event::Finished {
            id,
            outcome,
            took: began.elapsed(),
        });
        result
    }
}

/// What work came to: `good`, or that it `failed` in these words. What is wrong is told once, by the reporter of errors.
pub fn outcome<T, E>(
    result: &Result<T, E>,
    good: Outcome,
    verdict: impl FnOnce(&E) -> Verdict,
    failed: &str,
) -> Outcome {
    match result.as_ref().map_err(verdict) {
        Ok(_) => good,
        Err(Verdict::Cancelled) => Outcome::Interrupted,
        Err(_) => Outcome::Failed {
            error: failed.to_owned(),
            hint: None,
        },
    }
}
