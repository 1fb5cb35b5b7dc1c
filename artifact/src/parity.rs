//! Parity of the files of a bundle: so many blocks more, out of which as many damaged or lost ones are made again.

mod cells;
mod error;
mod head;
mod look;
mod make;
mod mend;

use camino::Utf8PathBuf;

pub use error::ParityError;
pub use look::{Repair, Whole};
pub use make::{Percent, Sparing, make_parity};
pub use mend::Mended;

/// The version of parity files that this kubexm writes, and the newest it reads.
pub const PARITY: u32 = 1;
/// What parity files are called at their end.
pub const PARITY_ENDING: &str = ".parity";

/// A parity file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParityFile {
    pub path: Utf8PathBuf,
    pub size: u64,
    /// How many blocks it can make again by itself.
    pub blocks: usize,
}
