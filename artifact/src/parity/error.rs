use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::PARITY;
use crate::Verdict;

/// Why parity cannot be made, or files cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("cannot write {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("there is no parity file among {0}")]
    None(String),
    #[error("{one} and {other} are parity of different bundles")]
    Several {
        one: Utf8PathBuf,
        other: Utf8PathBuf,
    },
    #[error("{path} has version {found}, and this kubexm reads up to {PARITY}")]
    Newer { path: Utf8PathBuf, found: u32 },
    #[error(
        "too much is lost: {missing} blocks of {block} bytes, and the parity here makes {have} again\n  {each}"
    )]
    TooMuch {
        missing: usize,
        have: usize,
        block: u64,
        /// What is lost of each file.
        each: String,
    },
    #[error("{0} is there already, and is none of the files to be repaired")]
    There(Utf8PathBuf),
    #[error("{0} was made again, and is not what the parity was made of: nothing is written")]
    Unlike(Utf8PathBuf),
    #[error("no file may be larger than {limit} bytes, and a block of parity has {block}")]
    Small { limit: u64, block: u64 },
    #[error("reed-solomon: {0}")]
    Code(reed_solomon_simd::Error),
    #[error("interrupted")]
    Cancelled,
}

impl ParityError {
    pub(super) fn read(path: &Utf8Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn write(path: &Utf8Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Read { .. } | Self::Write { .. } | Self::Code(_) => Verdict::Io,
            Self::Cancelled => Verdict::Cancelled,
            Self::None(_)
            | Self::Several { .. }
            | Self::Newer { .. }
            | Self::TooMuch { .. }
            | Self::There(_)
            | Self::Unlike(_)
            | Self::Small { .. } => Verdict::Refused,
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::None(_) => {
                "name the .parity file as well: kubexm bundle --parity has written it beside the bundle"
            }
            Self::Several { .. } => "name the files of one bundle",
            Self::Newer { .. } => "use the kubexm that came with it",
            Self::TooMuch { .. } => {
                "name every copy and every parity file that you have: what one has lost another may have; or bring the named files once more"
            }
            Self::There(_) => "name another directory with -o",
            Self::Unlike(_) => "bring the file once more",
            Self::Small { .. } => "larger segments, or no --parity",
            Self::Read { .. } | Self::Write { .. } | Self::Code(_) | Self::Cancelled => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
