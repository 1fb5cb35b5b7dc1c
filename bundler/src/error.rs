use artifact::{Missing, PackError, ParityError, SpaceError};
use camino::Utf8PathBuf;

use crate::addons::AddonError;
use crate::bundle::OutputError;
use crate::fetch::{FetchError, FetchFailures, FileFailure};
use crate::images::{ImageFailure, ImageFailures};
use crate::lock::LockError;
use crate::packages::PackageError;
use crate::resolve::ResolveFailure;

/// Why there is no bundle. Nothing half-written lies under a final name, and the next run goes on where this one ended.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Resolve(#[from] ResolveFailure),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("another kubexm works on this cluster (lock {path})")]
    Busy { path: Utf8PathBuf },
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Client(#[from] FetchError),
    #[error("{}", lines(Heading::NotFetched, .0))]
    Fetch(Vec<Failed>),
    #[error("{}", lines(Heading::Unusable, .0))]
    Content(Vec<Failed>),
    #[error("the bundle would not be complete:\n{}", missing(.0))]
    Incomplete(Vec<Missing>),
    #[error("addon {name}: {error}")]
    Addon {
        name: String,
        error: Box<AddonError>,
    },
    #[error("packages of {system}: {error}")]
    Packages {
        system: String,
        error: Box<PackageError>,
    },
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Parity(#[from] ParityError),
    #[error("no space left on the disk of {path}")]
    DiskFull { path: Utf8PathBuf },
    #[error("cannot {act} {path}: {cause}")]
    Io {
        act: &'static str,
        path: Utf8PathBuf,
        cause: String,
    },
    #[error("interrupted")]
    Interrupted,
}

/// One thing of several that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// `etcd v3.5.24 for amd64`
    pub title: String,
    pub error: String,
    pub hint: Option<String>,
    pub fault: Fault,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It came, and is not what was published or locked.
    Integrity,
    /// It could not be had, or not be used.
    Other,
}

impl From<FetchFailures> for BundleError {
    fn from(failures: FetchFailures) -> Self {
        if failures.interrupted() {
            return Self::Interrupted;
        }
        let failed = |failure: FileFailure| Failed {
            hint: failure.error.hint(),
            error: failure.error.to_string(),
            title: failure.title,
            fault: failure.error.fault(),
        };
        Self::Fetch(failures.0.into_iter().map(failed).collect())
    }
}

impl From<ImageFailures> for BundleError {
    fn from(failures: ImageFailures) -> Self {
        if failures.interrupted() {
            return Self::Interrupted;
        }
        let failed = |failure: ImageFailure| Failed {
            hint: failure.error.hint(),
            error: failure.error.to_string(),
            title: match failure.wanted_by.as_slice() {
                [] => format!("image {}", failure.image),
                by => format!("image {}, wanted by {}", failure.image, by.join(", ")),
            },
            fault: failure.error.fault(),
        };
        Self::Fetch(failures.0.into_iter().map(failed).collect())
    }
}

fn lines(what: Heading, failed: &[Failed]) -> String {
    let all: Vec<String> = failed
        .iter()
        .map(|f| format!("  {}: {}", f.title, f.error))
        .collect();
    let head = match (what, failed.len()) {
        (Heading::NotFetched, 1) => "one thing could not be fetched".to_owned(),
        (Heading::NotFetched, n) => format!("{n} things could not be fetched"),
        (Heading::Unusable, 1) => "one file is not what it should be".to_owned(),
        (Heading::Unusable, n) => format!("{n} files are not what they should be"),
    };
    format!("{head}:\n{}", all.join("\n"))
}

#[derive(Clone, Copy)]
enum Heading {
    NotFetched,
    Unusable,
}

fn missing(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|m| format!("  {m}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl BundleError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Output(error) => error.hint(),
            Self::Space(SpaceError::Short { .. }) => {
                Some("free some space, or choose other places with --work-dir and -o".to_owned())
            }
            Self::Space(SpaceError::FileTooLarge { .. }) => Some(
                "format the disk with ext4, XFS or exFAT, or bundle with --segment-size fat32"
                    .to_owned(),
            ),
            Self::Client(error) => error.hint(),
            Self::Pack(error) => error.hint(),
            Self::Parity(error) => error.hint(),
            Self::Packages { error, .. } => error.hint(),
            Self::Addon { error, .. } => error.hint(),
            Self::Fetch(failed) | Self::Content(failed) => {
                let mut hints: Vec<&str> =
                    failed.iter().filter_map(|f| f.hint.as_deref()).collect();
                hints.sort_unstable();
                hints.dedup();
                (!hints.is_empty()).then(|| hints.join("\n"))
            }
            Self::Busy { .. } => Some("wait for it, or bundle in another --work-dir".to_owned()),
            Self::Incomplete(_) => Some(
                "take it out of the config, or choose a version or an image that has it".to_owned(),
            ),
            Self::DiskFull { .. } => Some(
                "free some space or choose another --work-dir; the next run continues".to_owned(),
            ),
            Self::Space(SpaceError::Unknown { .. }) | Self::Io { .. } | Self::Interrupted => None,
        }
    }

    /// Whether the person stopped it.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Pack(PackError::Cancelled)
                | Self::Parity(ParityError::Cancelled)
        )
    }

    /// Whether something came that is not what was published or locked.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        match self {
            Self::Fetch(failed) | Self::Content(failed) => {
                failed.iter().any(|failed| failed.fault == Fault::Integrity)
            }
            Self::Client(error) => error.fault() == Fault::Integrity,
            Self::Packages { error, .. } => error.is_unverified(),
            Self::Lock(LockError::Differs { .. } | LockError::System { .. }) => true,
            _ => false,
        }
    }

    /// Two failures of work done side by side as one.
    pub(crate) fn together(first: Option<Self>, second: Option<Self>) -> Self {
        match (first, second) {
            (Some(Self::Fetch(mut all)), Some(Self::Fetch(more))) => {
                all.extend(more);
                Self::Fetch(all)
            }
            // Whoever interrupts sees that, and not what broke because of it.
            (Some(_), Some(Self::Interrupted)) | (None, None) => Self::Interrupted,
            (Some(error), _) | (None, Some(error)) => error,
        }
    }

    pub(crate) fn io(
        act: &'static str,
        path: impl Into<Utf8PathBuf>,
        error: &std::io::Error,
    ) -> Self {
        let path = path.into();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path }
            }
            _ => Self::Io {
                act,
                path,
                cause: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster::Arch;

    use super::*;
    use crate::images::ImageError;

    fn said(error: &BundleError) -> String {
        let hint = error
            .hint()
            .map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        format!("{error}{hint}")
    }

    #[test]
    fn every_failure_is_told_at_once() {
        let failed = |title: &str| Failed {
            title: title.to_owned(),
            error: "https://example.com/x: not found (404)".to_owned(),
            hint: Some("check the version".to_owned()),
            fault: Fault::Other,
        };
        insta::assert_snapshot!(said(&BundleError::Fetch(vec![failed("etcd v9.9.9 for amd64"), failed("runc v9.9.9 for amd64")])), @r"
        2 things could not be fetched:
          etcd v9.9.9 for amd64: https://example.com/x: not found (404)
          runc v9.9.9 for amd64: https://example.com/x: not found (404)
        hint: check the version
        ");
        insta::assert_snapshot!(said(&BundleError::Content(vec![failed("runc v1.3.3 for arm64")])), @r"
        one file is not what it should be:
          runc v1.3.3 for arm64: https://example.com/x: not found (404)
        hint: check the version
        ");
        let missing = Missing {
            what: "program etcdctl of etcd v3.5.24".into(),
            arch: Arch::Arm64,
            wanted_by: "etcd kubexm".into(),
        };
        insta::assert_snapshot!(said(&BundleError::Incomplete(vec![missing])), @r"
        the bundle would not be complete:
          program etcdctl of etcd v3.5.24 for arm64, wanted by etcd kubexm
        hint: take it out of the config, or choose a version or an image that has it
        ");
    }

    #[test]
    fn wrong_content_is_told_from_what_could_not_be_had() {
        let failures = |errors: Vec<FetchError>| {
            let failed = errors.into_iter().map(|error| FileFailure {
                title: "runc v1.3.3 for amd64".to_owned(),
                error,
            });
            BundleError::from(FetchFailures(failed.collect()))
        };
        let url = || "https://example.com/x".to_owned();
        let absent = || FetchError::NotFound {
            url: url(),
            status: 404,
        };
        let wrong = FetchError::Mismatch {
            url: url(),
            expected: "sha256:00".into(),
            got: "sha256:11".into(),
            source_of_truth: "kubexm.lock".into(),
        };
        assert!(!failures(vec![absent()]).is_unverified());
        assert!(failures(vec![absent(), wrong.clone()]).is_unverified());
        let image = |error| {
            let failure = ImageFailure {
                wanted_by: Vec::new(),
                image: "example.com/x:1".to_owned(),
                error,
            };
            BundleError::from(ImageFailures(vec![failure]))
        };
        let corrupt = ImageError::Corrupt {
            at: url(),
            what: "blob",
            digest: "sha256:00".into(),
        };
        assert!(image(corrupt).is_unverified());
        assert!(image(ImageError::from(wrong)).is_unverified());
        assert!(!image(ImageError::Schema1).is_unverified());
    }

    #[test]
    fn the_rest_says_what_and_where() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        insta::assert_snapshot!(said(&BundleError::io("write", "w/config.yaml", &full)), @r"
        no space left on the disk of w/config.yaml
        hint: free some space or choose another --work-dir; the next run continues
        ");
        insta::assert_snapshot!(said(&BundleError::Busy { path: "w/lock".into() }), @r"
        another kubexm works on this cluster (lock w/lock)
        hint: wait for it, or bundle in another --work-dir
        ");
    }
}
