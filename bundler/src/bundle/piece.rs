//! Work on a thread of its own, as one unit of the run that people see.

use std::time::Instant;

use artifact::Cancel;
use event::{Event, Events, Outcome, Progress, Unit};
use tokio_util::sync::CancellationToken;

use super::run::on_thread;
use crate::error::BundleError;

/// What the work is called, how many bytes it moves, and what it is to have done.
pub(super) struct Piece {
    pub title: String,
    pub bytes: Option<u64>,
    pub done: &'static str,
}

impl Piece {
    pub(super) async fn run<T, E>(
        self,
        events: &Events,
        cancel: &CancellationToken,
        work: impl FnOnce(&Progress, &Cancel) -> Result<T, E> + Send + 'static,
    ) -> Result<T, BundleError>
    where
        T: Send + 'static,
        E: Send + 'static,
        BundleError: From<E>,
    {
        let Self { title, bytes, done } = self;
        let id = events.next_id();
        events.emit(&Event::Started(Unit {
            id,
            stage: "pack".to_owned(),
            task: None,
            host: None,
            title,
            bytes,
            after: None,
        }));
        let began = Instant::now();
        let stop = Cancel::default();
        let (progress, stopped) = (events.progress(id, bytes), stop.clone());
        let mut work = std::pin::pin!(on_thread(move || work(&progress, &stopped)));
        let result = tokio::select! {
            result = &mut work => result,
            () = cancel.cancelled() => {
                stop.cancel();
                work.await
            }
        };
        let result = result.map_err(BundleError::from);
        let outcome = match &result {
            Ok(_) => Outcome::Changed {
                reason: done.to_owned(),
            },
            Err(error) if error.is_interrupted() => Outcome::Interrupted,
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
        result
    }
}
