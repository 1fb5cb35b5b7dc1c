use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{JOURNEY, JOURNEY_LIST};
use crate::bundle::shown;
use crate::{BundleError, SignError, SignatureError, Verdict};

/// So many files are told one by one.
const SHOWN_MAX: usize = 50;

/// Why a medium does not leave, or what has arrived does not count.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
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
    #[error("there is no bundle on {0}")]
    Empty(Utf8PathBuf),
    /// Nothing else can carry it to the other side.
    #[error("{path} has a name that cannot travel: {why}")]
    Name { path: String, why: &'static str },
    #[error("there is no {JOURNEY_LIST} on {0}: nobody has looked at it before it left")]
    Unlisted(Utf8PathBuf),
    #[error("{path} cannot be understood: {why}")]
    Strange { path: Utf8PathBuf, why: String },
    #[error("{path} has version {found}, and this kubexm reads up to {JOURNEY}")]
    Newer { path: Utf8PathBuf, found: u32 },
    #[error("{medium} is not what it should be: {}", several(.wrong))]
    Wrong {
        medium: Utf8PathBuf,
        wrong: Vec<(Utf8PathBuf, Wrong)>,
    },
    #[error("{path}: {source}")]
    Signature {
        path: Utf8PathBuf,
        source: SignatureError,
    },
    #[error("cannot sign {path}: {source}")]
    Sign {
        path: Utf8PathBuf,
        source: SignError,
    },
    #[error("the bundle is of a cluster called '{0}', which no directory can be called")]
    Cluster(String),
    #[error("interrupted")]
    Cancelled,
}

/// What is wrong with a file on a medium.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    #[error(transparent)]
    Bundle(BundleError),
    #[error("the medium gives back something else than was written")]
    Unfaithful,
    #[error("it is not there")]
    Missing,
    #[error("it has {found} bytes, and left with {listed}")]
    Size { listed: u64, found: u64 },
    #[error("its content is not the one that left (SHA-256 differs)")]
    Content,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the list calls it a bundle, and it is another")]
    Another,
}

fn several(wrong: &[(Utf8PathBuf, Wrong)]) -> String {
    // What a bundle says of itself names it already.
    let line = |(path, wrong): &(Utf8PathBuf, Wrong)| match wrong {
        Wrong::Bundle(error) => format!("\n  {error}"),
        _ => format!("\n  {}: {wrong}", shown(path.as_str())),
    };
    let lines: String = wrong.iter().take(SHOWN_MAX).map(line).collect();
    let number = match wrong.len() {
        1 => "1 file".to_owned(),
        many => format!("{many} files"),
    };
    match wrong.len().saturating_sub(SHOWN_MAX) {
        0 => format!("{number}{lines}"),
        more => format!("{number}{lines}\n  and {more} more"),
    }
}

impl JourneyError {
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
            Self::Read { .. } | Self::Write { .. } => Verdict::Io,
            Self::Cancelled => Verdict::Cancelled,
            Self::Empty(_)
            | Self::Name { .. }
            | Self::Unlisted(_)
            | Self::Strange { .. }
            | Self::Newer { .. }
            | Self::Wrong { .. }
            | Self::Signature { .. }
            | Self::Sign { .. }
            | Self::Cluster(_) => Verdict::Refused,
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty(_) => Some("copy what `kubexm bundle` has written there first".into()),
            Self::Name { .. } => Some("rename it, or take it off the medium".into()),
            Self::Unlisted(medium) => Some(format!(
                "kubexm verify {medium} looks at the bundles by themselves; where it comes from: kubexm depart"
            )),
            Self::Newer { .. } => Some("use the kubexm that came with it".into()),
            Self::Strange { path, .. } if path.file_name() != Some(JOURNEY_LIST) => {
                Some("move it away: it only tells what has come before".into())
            }
            Self::Strange { .. } | Self::Cluster(_) => {
                Some("do not use it; ask for another medium".into())
            }
            Self::Wrong { wrong, .. } => wrong.iter().find_map(|(_, wrong)| match wrong {
                Wrong::Bundle(error) => error.hint(),
                Wrong::Unfaithful => Some("use another medium".into()),
                _ => Some("the rest is good; bring these files once more, or let kubexm repair make them again if a .parity file came along".into()),
            }),
            Self::Signature { source, .. } => source.hint(),
            Self::Sign { source, .. } => source.hint(),
            Self::Read { .. } | Self::Write { .. } | Self::Cancelled => None,
        }
    }
}
