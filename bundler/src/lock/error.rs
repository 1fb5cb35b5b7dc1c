use camino::Utf8PathBuf;

use super::{Difference, FORMAT, Unlockable};

/// Why the lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("cannot read the lock file {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not a lock file of kubexm: {cause}")]
    Malformed { path: Utf8PathBuf, cause: String },
    #[error("{path} has format {found}; this kubexm knows formats up to {FORMAT}")]
    TooNew { path: Utf8PathBuf, found: u32 },
    #[error("{path} locks packages as no kubexm writes it: {why}")]
    System { path: Utf8PathBuf, why: Unlockable },
    #[error("there is no lock file {path}, and --locked asks for one")]
    Absent { path: Utf8PathBuf },
    #[error("{path} does not fit the config:\n{}", lines(.differences))]
    Differs {
        path: Utf8PathBuf,
        differences: Vec<Difference>,
    },
    #[error("{path} is the lock file of cluster '{locked}', not of '{wanted}'")]
    OtherCluster {
        path: Utf8PathBuf,
        locked: String,
        wanted: String,
    },
    #[error("cannot write the lock file {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
}

impl LockError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Malformed { .. } => {
                "take it back from version control, or delete it: the next bundle writes it anew"
            }
            Self::System { .. } => {
                "somebody has changed it by hand: find out who, and take it back from version control"
            }
            Self::TooNew { .. } => "use the kubexm that wrote it, or a newer one",
            Self::OtherCluster { .. } => {
                "keep each cluster's config in a directory of its own, or remove the lock file if the cluster was renamed"
            }
            Self::Absent { .. } | Self::Differs { .. } => {
                "bundle once without --locked, look at what changed in the lock file, and keep it"
            }
            Self::Read { .. } | Self::Write { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn lines(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|d| format!("  {d}"))
        .collect::<Vec<_>>()
        .join("\n")
}
