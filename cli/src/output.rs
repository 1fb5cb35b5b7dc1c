//! Everything the program prints. stdout is the result, stderr is progress and warnings; nothing else writes to either.

mod bars;
mod findings;
pub mod harmless;
mod json;
mod lines;
pub mod page;
mod paint;
mod printer;
mod repeats;
pub mod report;
mod summary;
mod table;
mod wording;

pub use findings::Findings;
pub use lines::Detail;
pub use paint::Paint;
pub use printer::{Printer, ProgressStyle};
pub use report::Report;
pub use table::{Column, paragraph, table};
pub use wording::{bytes, count, problem, took};

/// How the program talks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[cfg(test)]
mod script;
