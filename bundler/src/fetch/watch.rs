//! What every attempt at a unit of work needs: who watches it, who may stop it, and how patient to be.

use std::fmt::Display;
use std::time::Duration;

use event::{Event, Events, Progress, UnitId};
use tokio_util::sync::CancellationToken;

use super::{FetchError, Retry};

#[derive(Clone, Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) unit: UnitId,
    pub(crate) events: &'a Events,
    pub(crate) cancel: &'a CancellationToken,
}

impl Watch<'_> {
    pub(crate) async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, FetchError> {
        self.cancel
            .run_until_cancelled(work)
            .await
            .ok_or(FetchError::Interrupted)
    }
}

/// A failure that knows whether waiting helps.
pub(crate) trait Passing: Display {
    /// Whether the same request may succeed a little later.
    fn may_pass(&self) -> bool;

    /// How long the other side asks to be left alone.
    fn retry_after(&self) -> Option<Duration>;
}

/// How much more a unit of work bears before it is given up.
pub(crate) struct Patience<'a> {
    watch: &'a Watch<'a>,
    retry: &'a Retry,
    delays: backon::ExponentialBackoff,
    attempt: u32,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(watch: &'a Watch<'a>, retry: &'a Retry) -> Self {
        Self {
            watch,
            retry,
            delays: retry.delays(),
            attempt: 1,
        }
    }

    /// Something was achieved: what failed before does not count any more.
    pub(crate) fn renew(&mut self) {
        *self = Self::new(self.watch, self.retry);
    }

    /// Waits until it is time for another attempt, or gives the error back.
    pub(crate) async fn bear<E: Passing + From<FetchError>>(&mut self, error: E) -> Result<(), E> {
        let next = if error.may_pass() {
            self.delays.next()
        } else {
            None
        };
        let Some(delay) = next else { return Err(error) };
        self.attempt += 1;
        let delay = self.retry.wait(delay, error.retry_after());
        self.watch.events.emit(&Event::Retrying {
            id: self.watch.unit,
            attempt: self.attempt,
            error: error.to_string(),
            delay,
        });
        Ok(self
            .watch
            .unless_cancelled(tokio::time::sleep(delay))
            .await?)
    }
}

/// Repeats a request for as long as there is patience with its failures.
pub(crate) async fn patiently<T, E, F>(
    watch: &Watch<'_>,
    retry: &Retry,
    request: impl Fn() -> F,
) -> Result<T, E>
where
    E: Passing + From<FetchError>,
    F: Future<Output = Result<T, E>>,
{
    let mut patience = Patience::new(watch, retry);
    loop {
        match watch.unless_cancelled(request()).await? {
            Ok(answer) => return Ok(answer),
            Err(error) => patience.bear(error).await?,
        }
    }
}

/// Shows how far one piece of a unit has come; what comes a second time is not counted twice.
pub(crate) struct Shown {
    progress: Progress,
    highest: u64,
}

impl Shown {
    pub(crate) fn on(progress: Progress) -> Self {
        Self {
            progress,
            highest: 0,
        }
    }

    pub(crate) fn reach(&mut self, len: u64) {
        if len > self.highest {
            self.progress.add(len - self.highest);
            self.highest = len;
        }
    }
}
