//! Ctrl-C: the first lets what runs come to its end, the second aborts. A terminal that goes away is such a first one.

use std::process;

use artifact::Cancel;
use event::Events;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Exit, Failure};

/// A token that is cancelled by the first interrupt. Must be called within a runtime.
pub fn watch(events: Events) -> Result<CancellationToken, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Start)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::Start)?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = either(&mut interrupt, &mut terminate) => {}
            _ = hangup.recv() => {}
        }
        events.warn(
            "interrupted: what runs now comes to its end, nothing new begins",
            Some("press Ctrl-C again to stop at once"),
        );
        cancelled.cancel();
        either(&mut interrupt, &mut terminate).await;
        process::exit(Exit::Interrupted as i32);
    });
    Ok(token)
}

/// The same for work that runs on threads.
pub fn cancel(runtime: &Runtime, events: &Events) -> Result<Cancel, Failure> {
    let _inside = runtime.enter();
    Ok(flag(&watch(events.clone())?))
}

/// A flag that is raised with the token. Must be called within a runtime.
pub fn flag(token: &CancellationToken) -> Cancel {
    let (flag, token) = (Cancel::default(), token.clone());
    let raised = flag.clone();
    tokio::spawn(async move {
        token.cancelled().await;
        raised.cancel();
    });
    flag
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
