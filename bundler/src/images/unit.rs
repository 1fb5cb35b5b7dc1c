use std::time::Instant;

use event::{Event, Events, Outcome, Unit};
use tokio_util::sync::CancellationToken;

use super::ImageError;
use crate::fetch::{Change, Watch};

/// A unit of work as events tell it.
pub(super) struct Reported {
    pub(super) stage: &'static str,
    pub(super) title: String,
    pub(super) bytes: Option<u64>,
}

impl Reported {
    pub(super) async fn run<'a, T, F>(
        self,
        events: &'a Events,
        cancel: &'a CancellationToken,
        work: impl FnOnce(Watch<'a>) -> F,
    ) -> Result<T, ImageError>
    where
        F: Future<Output = Result<(T, Outcome), ImageError>>,
    {
        let id = events.next_id();
        let stage = self.stage.to_owned();
        let unit = Unit {
            id,
            stage,
            task: None,
            host: None,
            title: self.title,
            bytes: self.bytes,
            after: None,
        };
        if cancel.is_cancelled() {
            events.emit(&Event::Skipped {
                unit,
                because: "interrupted".to_owned(),
            });
            return Err(ImageError::Interrupted);
        }
        events.emit(&Event::Started(unit));
        let began = Instant::now();
        let result = work(Watch {
            unit: id,
            events,
            cancel,
        })
        .await;
        let outcome = match &result {
            Ok((_, outcome)) => outcome.clone(),
            Err(ImageError::Interrupted) => Outcome::Interrupted,
            Err(error) => Outcome::Failed {
                error: error.to_string(),
                hint: error.hint(),
            },
        };
        events.emit(&Event::Finished {
            id,
            outcome,
            took: began.elapsed(),
        });
        result.map(|(done, _)| done)
    }
}

/// How a unit that succeeded ended.
pub(super) fn outcome(change: Change) -> Outcome {
    match change {
        Change::Satisfied => Outcome::Satisfied,
        Change::Downloaded => Outcome::Changed {
            reason: "not here yet".to_owned(),
        },
    }
}
