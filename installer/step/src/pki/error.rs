use camino::Utf8PathBuf;
use engine::StepError;

use crate::local_file::FileError;

/// Why a certificate could not be made or an authority not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} holds no certificate: {why}")]
    NoCertificate { path: Utf8PathBuf, why: String },
    #[error("{path} holds no private key that can be read")]
    NoKey { path: Utf8PathBuf },
    #[error(
        "nothing can be signed by the certificate authority in {certificate}: its key {key} is missing"
    )]
    KeyLost {
        certificate: Utf8PathBuf,
        key: Utf8PathBuf,
    },
    #[error("{key} is not the key of {certificate}")]
    WrongKey {
        certificate: Utf8PathBuf,
        key: Utf8PathBuf,
    },
    #[error("{public} is there, but its private key {key} is missing")]
    PublicAlone {
        public: Utf8PathBuf,
        key: Utf8PathBuf,
    },
    #[error("{certificate} is no certificate authority")]
    NoAuthority { certificate: Utf8PathBuf },
    #[error("the certificate authority in {certificate} has expired on {on}")]
    Expired {
        certificate: Utf8PathBuf,
        on: time::Date,
    },
    #[error("there is no certificate authority in {certificate}")]
    Missing { certificate: Utf8PathBuf },
    #[error("cannot make the certificate '{subject}': {why}")]
    Make { subject: String, why: rcgen::Error },
    #[error("cannot make the key {path}: {why}")]
    MakeKey {
        path: Utf8PathBuf,
        why: rcgen::Error,
    },
}

impl PkiError {
    /// What to do about it. An authority is never replaced silently: everything that trusts it would break.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NoCertificate { path, .. }
            | Self::NoKey { path }
            | Self::NoAuthority { certificate: path }
            | Self::PublicAlone { public: path, .. }
            | Self::KeyLost {
                certificate: path, ..
            }
            | Self::WrongKey {
                certificate: path, ..
            }
            | Self::Expired {
                certificate: path, ..
            } => {
                let dir = path.parent().unwrap_or(path);
                Some(format!(
                    "put {dir} back as it was, from a backup or from the machine that installed the site"
                ))
            }
            Self::Missing { .. } | Self::Make { .. } | Self::MakeKey { .. } => None,
        }
    }
}

impl From<PkiError> for StepError {
    fn from(error: PkiError) -> Self {
        let step = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}
