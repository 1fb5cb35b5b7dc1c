//! `-v`: what the program's own code says of itself, on stderr.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The crates of this program; libraries speak up only at `-vvv`.
const OURS: [&str; 10] = [
    "artifact", "bundler", "cluster", "engine", "host", "kubexm", "module", "pipeline", "step",
    "task",
];

/// Turns diagnostics on.
pub fn init(verbose: u8, ansi: bool) {
    let (ours, others) = match verbose {
        0 => return,
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let filter = OURS
        .into_iter()
        .fold(Targets::new().with_default(others), |filter, name| {
            filter.with_target(name, ours)
        });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(ansi);
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .init();
}
