use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::bundle::carriage::CarryError;
use crate::bundle::fault::{Fault, Lack, lacks, several};
use crate::{ContentsError, SignError};

/// What kind of failure it is, for callers that act differently: the cli's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bundle is not what it should be.
    Refused,
    /// Reading or writing failed.
    Io,
    Cancelled,
}

/// Why a bundle could not be written. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("cannot pack: {0}")]
    Contents(#[from] ContentsError),
    #[error("cannot read {path} to pack it: {source}")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("{path} is not the file that bundle.json lists: {how}")]
    Changed { path: Utf8PathBuf, how: Change },
    /// What the receiver has cannot be read, to make patches from.
    #[error(transparent)]
    Base(#[from] BundleError),
    #[error("cannot write {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("no space left on the disk of {path}")]
    NoSpace { path: Utf8PathBuf },
    /// Files are not parted.
    #[error(
        "a segment of {size} bytes is too small: {path} and what it is compressed with take {need}"
    )]
    Segment {
        path: Utf8PathBuf,
        need: u64,
        size: u64,
    },
    /// Nobody would read such a bundle.
    #[error("the bundle would have {0}")]
    Excess(&'static str),
    #[error("cannot sign the bundle: {0}")]
    Sign(#[from] SignError),
    #[error("interrupted while packing")]
    Cancelled,
}

/// How a file differs from its entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Change {
    #[error("it is no regular file")]
    Kind,
    #[error("it has {found} bytes instead of {listed}")]
    Size { listed: u64, found: u64 },
    #[error("its content has another SHA-256")]
    Content,
}

impl PackError {
    pub(crate) fn write(path: &Utf8Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            Self::NoSpace {
                path: path.to_owned(),
            }
        } else {
            Self::Write {
                path: path.to_owned(),
                source,
            }
        }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Contents(_)
            | Self::Excess(_)
            | Self::Segment { .. }
            | Self::Changed { .. }
            | Self::Sign(_) => Verdict::Refused,
            Self::Base(error) => error.verdict(),
            Self::Read { .. } | Self::Write { .. } | Self::NoSpace { .. } => Verdict::Io,
            Self::Cancelled => Verdict::Cancelled,
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } => {
                Some("the tree changed while it was packed: run bundle again".into())
            }
            Self::NoSpace { path } => {
                Some(format!("make room there, or write elsewhere than {path}"))
            }
            Self::Excess(_) | Self::Contents(ContentsError::TooLarge(_)) => {
                Some("make a bundle for fewer operating systems, architectures or images".into())
            }
            Self::Segment { need, .. } => Some(format!(
                "give --segment-size {}M or more",
                need.div_ceil(1 << 20)
            )),
            Self::Sign(source) => source.hint(),
            Self::Base(error) => error.hint(),
            Self::Contents(_) | Self::Read { .. } | Self::Write { .. } | Self::Cancelled => None,
        }
    }
}

/// Why a bundle could not be read, verified or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("cannot open {path}: {source}")]
    Open {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("cannot read {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("{path} is not a bundle: {why}")]
    NotABundle { path: Utf8PathBuf, why: String },
    /// It is a bundle, or was one: cut, or changed in what holds it together.
    #[error(
        "{path} is damaged: it ends at 4 GiB - 1, and no file on FAT32 is longer: the rest was lost when it was copied"
    )]
    CutByFat { path: Utf8PathBuf },
    #[error("{path} is damaged: {why}")]
    Broken { path: Utf8PathBuf, why: String },
    #[error("{path}: {member} has {size} bytes; at most {} MiB of it are read", most >> 20)]
    LargeMember {
        path: Utf8PathBuf,
        member: Utf8PathBuf,
        size: u64,
        most: u64,
    },
    #[error("{path} cannot be read by this kubexm: {why}")]
    Newer { path: Utf8PathBuf, why: String },
    #[error("{path}: {source}")]
    Carry {
        path: Utf8PathBuf,
        source: CarryError,
    },
    /// A delta for somebody who has more.
    #[error("{path} is {what}, and {tree} has not all that it builds on: {}", lacks(.lacking))]
    Lacking {
        path: Utf8PathBuf,
        what: String,
        tree: Utf8PathBuf,
        lacking: Vec<Lack>,
    },
    #[error("{path}: {source}")]
    Contents {
        path: Utf8PathBuf,
        source: ContentsError,
    },
    #[error("{path}: {}", several(.faults))]
    Faulty {
        path: Utf8PathBuf,
        faults: Vec<Fault>,
    },
    #[error("cannot write {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: io::Error,
    },
    #[error("no space left on the disk while writing {path}")]
    NoSpace { path: Utf8PathBuf },
    /// Somebody else writes into the tree.
    #[error("{path} changed while it was read")]
    Unsteady { path: Utf8PathBuf },
    #[error("interrupted")]
    Cancelled,
}

impl BundleError {
    pub(crate) fn read(path: &Utf8Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken {
                path,
                why: "it became shorter while it was read".into(),
            },
            _ => Self::Read { path, source },
        }
    }

    pub(crate) fn write(path: &Utf8Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            Self::NoSpace {
                path: path.to_owned(),
            }
        } else {
            Self::Write {
                path: path.to_owned(),
                source,
            }
        }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NotABundle { .. }
            | Self::Broken { .. }
            | Self::CutByFat { .. }
            | Self::Newer { .. }
            | Self::LargeMember { .. }
            | Self::Carry { .. }
            | Self::Lacking { .. }
            | Self::Contents { .. }
            | Self::Faulty { .. } => Verdict::Refused,
            Self::Open { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Unsteady { .. }
            | Self::NoSpace { .. } => Verdict::Io,
            Self::Cancelled => Verdict::Cancelled,
        }
    }

    /// What is wrong with each member, where that is known.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Faulty { faults, .. } => faults,
            _ => &[],
        }
    }

    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::CutByFat { .. } => Some(
                "copy it to exFAT, ext4 or XFS; or make it anew with `kubexm bundle --segment-size fat32`".into(),
            ),
            Self::Broken { .. } => Some("copy the bundle again, and compare its size first".into()),
            Self::Faulty { faults, .. } => Some(
                if faults
                    .iter()
                    .any(|fault| matches!(fault, Fault::Damaged { .. } | Fault::End))
                {
                    "copy the bundle again, and run the same command once more".into()
                } else {
                    "this was not made by `kubexm bundle`: do not use it".into()
                },
            ),
            Self::Newer { .. } => {
                Some("it was made by a newer kubexm: use the one that came with it".into())
            }
            Self::NoSpace { .. } => {
                Some("make room and run again; what was unpacked is kept".into())
            }
            Self::Lacking { .. } => Some(
                "nothing was changed. Here: `kubexm get inventory -f CONFIG > inventory.json`; where bundles are made: `kubexm bundle -f CONFIG --since inventory.json`; or bring the whole bundle"
                    .into(),
            ),
            Self::Contents { source, .. } => Some(source.hint().into()),
            Self::Carry { source, .. } => Some(source.hint().into()),
            Self::NotABundle { .. } | Self::LargeMember { .. } => {
                Some("a bundle is what `kubexm bundle` writes".into())
            }
            Self::Unsteady { .. } => Some("see who else writes there, and run again".into()),
            // It is no answer of the kernel's.
            Self::Write { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied
                    && source.raw_os_error().is_none() =>
            {
                Some("a folder on the way there is a link out of the tree: remove the link, and run again".into())
            }
            Self::Open { .. } | Self::Read { .. } | Self::Write { .. } | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_that_ends_while_it_is_read_is_copied_again() {
        let error = BundleError::read("b.tar.zst".into(), io::ErrorKind::UnexpectedEof.into());
        insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
        b.tar.zst is damaged: it became shorter while it was read
        hint: copy the bundle again, and compare its size first
        ");
        assert_eq!(error.verdict(), Verdict::Refused);
    }

    #[test]
    fn messages_name_the_bundle_the_member_and_a_way_out() {
        let path = Utf8PathBuf::from("b.tar.zst");
        let damaged = |member: &str| Fault::Damaged {
            member: member.into(),
        };
        let errors = [
            BundleError::Broken {
                path: path.clone(),
                why: "its seek table is damaged".into(),
            },
            BundleError::Newer {
                path: path.clone(),
                why: "its seal has version 9".into(),
            },
            BundleError::Faulty {
                path: path.clone(),
                faults: vec![damaged("a/b")],
            },
            BundleError::Faulty {
                path: path.clone(),
                faults: vec![damaged("a"), damaged("b")],
            },
            BundleError::Faulty {
                path: path.clone(),
                faults: vec![Fault::Kind {
                    member: "x".into(),
                    kind: "a symbolic link".into(),
                }],
            },
            BundleError::NoSpace { path },
        ];
        let shown: Vec<String> = errors
            .iter()
            .map(|error| format!("{error}\n  hint: {}", error.hint().unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        b.tar.zst is damaged: its seek table is damaged
          hint: copy the bundle again, and compare its size first
        b.tar.zst cannot be read by this kubexm: its seal has version 9
          hint: it was made by a newer kubexm: use the one that came with it
        b.tar.zst: "a/b" is damaged: the bytes stored for it changed after packing
          hint: copy the bundle again, and run the same command once more
        b.tar.zst: 2 faults:
          "a" is damaged: the bytes stored for it changed after packing
          "b" is damaged: the bytes stored for it changed after packing
          hint: copy the bundle again, and run the same command once more
        b.tar.zst: "x" is a symbolic link; only regular files may be in a bundle
          hint: this was not made by `kubexm bundle`: do not use it
        no space left on the disk while writing b.tar.zst
          hint: make room and run again; what was unpacked is kept
        "#);
    }
}
