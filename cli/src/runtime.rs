//! What this machine has to run on.

use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::Runtime;

use crate::error::Failure;

/// Starts the runtime that a command works on.
pub fn start() -> Result<Runtime, Failure> {
    Runtime::new().map_err(Failure::Start)
}

/// Enough to keep every host of a middling site busy.
const JOBS: usize = 64;

/// How many steps may run at once, over all hosts.
pub fn jobs(asked: Option<u16>) -> usize {
    asked.map_or(JOBS, usize::from)
}

/// How many threads may compute at once.
pub fn threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
