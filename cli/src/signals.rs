//! Ctrl-C: the first lets what runs come to its end, the second aborts.

use std::io;
use std::process;

use event::Events;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::Exit;

/// A token that is cancelled by the first interrupt. Must be called within a runtime.
pub fn watch(events: Events) -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
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

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
