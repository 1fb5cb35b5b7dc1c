use jiff::Timestamp;
use packages::solve::Unsatisfiable;

/// Why packages of a system cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    #[error("a key cannot be used: {0}")]
    Keyring(String),
    #[error("{at}: neither InRelease nor Release is there")]
    NoRelease { at: String },
    #[error("{at}: Release is not signed: neither InRelease nor Release.gpg is there")]
    UnsignedRelease { at: String },
    #[error("{at}: the index is of {date}, and kubexm.lock has seen one of {locked}")]
    Older {
        at: String,
        date: Timestamp,
        locked: Timestamp,
    },
    /// It came, and is not what the distribution has signed.
    #[error("{at}: {cause}")]
    Untrusted {
        at: String,
        cause: String,
        hint: Option<String>,
    },
    /// It is right, and cannot be used.
    #[error("{at}: {cause}")]
    Unusable {
        at: String,
        cause: String,
        hint: Option<String>,
    },
    #[error("'{name}', wanted by {by}, cannot be asked for: {cause}")]
    Name {
        name: String,
        by: String,
        cause: String,
    },
    #[error(transparent)]
    Unsatisfiable(#[from] Unsatisfiable),
    #[error("{file}: {cause}")]
    Package {
        file: String,
        cause: String,
        hint: Option<String>,
    },
}

impl PackageError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Keyring(_) => "a file with armored public keys is expected: gpg --armor --export",
            Self::NoRelease { .. } | Self::UnsignedRelease { .. } => {
                "check that this release is still there; a mirror may not have it"
            }
            Self::Older { .. } => {
                "the mirror is behind, or keeps an old index back: use another one; to take the older one all the same, take this system out of \"systems\" in kubexm.lock"
            }
            Self::Name { .. } => "give the name of a package, with =VERSION behind it if need be",
            Self::Unsatisfiable(_) => {
                "look at what wants it: a package of system.debs or system.rpms may be called otherwise there, or be of an archive that kubexm does not ask"
            }
            Self::Untrusted { hint, .. }
            | Self::Unusable { hint, .. }
            | Self::Package { hint, .. } => {
                return hint.clone();
            }
        };
        Some(hint.to_owned())
    }

    /// Whether something came that is not what was signed.
    #[must_use]
    pub const fn is_unverified(&self) -> bool {
        matches!(
            self,
            Self::Untrusted { .. } | Self::UnsignedRelease { .. } | Self::Older { .. }
        )
    }
}
