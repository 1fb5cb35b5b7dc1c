use std::time::Duration;

use cluster::Arch;

use crate::error::Fault;
use crate::fetch::{FetchError, Passing};

/// Why an image could not be copied. The image itself is named by the [`ImageFailure`](super::ImageFailure) around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    #[error("not an image reference: {why}")]
    Reference { why: String },
    #[error("digests other than SHA-256 cannot be used here: {digest}")]
    DigestAlgorithm { digest: String },
    #[error("not found at {at}")]
    NotFound { at: String },
    #[error("{at} does not let this be pulled{}", as_whom(*.login))]
    Unauthorized { at: String, login: Account },
    #[error("{at} refuses the login: {why}")]
    Login {
        at: String,
        login: Account,
        why: String,
    },
    #[error("{at} answers too many requests (429)")]
    Limited { at: String, login: Account },
    #[error("{at} answered {status}: {message}")]
    Registry {
        at: String,
        status: u16,
        message: String,
    },
    #[error("{at} answered what no registry should: {why}")]
    Protocol { at: String, why: String },
    #[error("{at} cannot be reached: {why}")]
    Unreachable { at: String, why: String },
    #[error("the certificate of {at} is not trusted here: {why}")]
    Untrusted { at: String, why: String },
    #[error("the connection to {at} broke: {why}")]
    Cut { at: String, why: String },
    #[error("a schema 1 image, which nothing reads any more")]
    Schema1,
    #[error("not a container image: {why}")]
    NotAnImage { why: String },
    #[error("not built for {}; it exists for {}", linux(.missing), known(.found))]
    MissingPlatform {
        missing: Vec<Arch>,
        found: Vec<String>,
    },
    #[error("{what} {digest} came with other content from {at}, twice")]
    Corrupt {
        at: String,
        what: &'static str,
        digest: String,
    },
    #[error("the registry's client cannot be set up: {why}")]
    Client { why: String },
    #[error(transparent)]
    Local(Box<FetchError>),
    #[error("interrupted")]
    Interrupted,
}

/// As whom a registry was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Anonymous,
    Named,
}

impl ImageError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let credentials = |at: &str| {
            let host = at.split('/').next().unwrap_or(at);
            format!("spec.registry.auths[\"{host}\"]")
        };
        Some(match self {
            Self::Reference { .. } => "write it like registry.k8s.io/pause:3.10 or docker.io/library/busybox@sha256:…".to_owned(),
            Self::NotFound { .. } => "check name and tag; a mirror may not have it".to_owned(),
            Self::Unauthorized { at, login: Account::Anonymous } => format!(
                "it may be private or not exist: check the name, or give user and password under {}",
                credentials(at)
            ),
            Self::Unauthorized { at, .. } | Self::Login { at, .. } => format!(
                "check name, user and password under {}, or in the mirror's address",
                credentials(at)
            ),
            Self::Limited { at, login: Account::Anonymous } => format!(
                "logged-in users may pull more: give user and password under {}; the next run continues",
                credentials(at)
            ),
            Self::Limited { .. } => {
                "wait, copy fewer at a time with --jobs, or name a --mirror; the next run continues".to_owned()
            }
            Self::Unreachable { .. } => {
                "check the name, the network and the proxy settings; --mirror HOST=URL pulls from elsewhere".to_owned()
            }
            Self::Untrusted { at, .. } => format!(
                "give the CA that signed it under {0}.certsPath, add it to this machine's, or set {0}.skipTLSVerify",
                credentials(at)
            ),
            Self::Cut { .. } => "run again: what has come is kept, and the copy continues there".to_owned(),
            Self::Registry { status: 500.., .. } => "the registry has trouble of its own; run again later".to_owned(),
            Self::Schema1 => "pull it and push it again with a current tool, or use a newer tag".to_owned(),
            Self::MissingPlatform { .. } => {
                "use another tag or image, or bundle only the architectures that it has; in spec.images, `{image: ..., arch: [amd64]}` \
                 is one for these alone".to_owned()
            }
            Self::Corrupt { .. } => "the registry or a mirror is damaged or dishonest; do not use it before you know why".to_owned(),
            Self::Local(error) => return error.hint(),
            Self::DigestAlgorithm { .. }
            | Self::Registry { .. }
            | Self::Protocol { .. }
            | Self::NotAnImage { .. }
            | Self::Client { .. }
            | Self::Interrupted => return None,
        })
    }
}

impl ImageError {
    pub(crate) const fn fault(&self) -> Fault {
        match self {
            Self::Corrupt { .. } => Fault::Integrity,
            Self::Local(error) => error.fault(),
            _ => Fault::Other,
        }
    }
}

impl Passing for ImageError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Unreachable { .. } | Self::Cut { .. } => true,
            Self::Registry { status, .. } => *status >= 500 || *status == 408,
            _ => false,
        }
    }

    /// The registry's client keeps it to itself.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl From<FetchError> for ImageError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Interrupted => Self::Interrupted,
            other => Self::Local(Box::new(other)),
        }
    }
}

fn as_whom(login: Account) -> &'static str {
    match login {
        Account::Anonymous => " without a login",
        Account::Named => " with this login",
    }
}

fn linux(arches: &[Arch]) -> String {
    arches
        .iter()
        .map(|arch| format!("linux/{arch}"))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn known(platforms: &[String]) -> String {
    if platforms.is_empty() {
        "no known platform".to_owned()
    } else {
        platforms.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_what_and_why() {
        let at = || "docker.io/library/x".to_owned();
        let all = [
            ImageError::Reference {
                why: "invalid reference format".into(),
            },
            ImageError::DigestAlgorithm {
                digest: "sha512:00".into(),
            },
            ImageError::NotFound { at: at() },
            ImageError::Unauthorized {
                at: at(),
                login: Account::Anonymous,
            },
            ImageError::Unauthorized {
                at: at(),
                login: Account::Named,
            },
            ImageError::Login {
                at: at(),
                login: Account::Named,
                why: "bad password".into(),
            },
            ImageError::Limited {
                at: at(),
                login: Account::Anonymous,
            },
            ImageError::Limited {
                at: at(),
                login: Account::Named,
            },
            ImageError::Registry {
                at: at(),
                status: 502,
                message: "bad gateway".into(),
            },
            ImageError::Registry {
                at: at(),
                status: 400,
                message: "no".into(),
            },
            ImageError::Protocol {
                at: at(),
                why: "no digest".into(),
            },
            ImageError::Unreachable {
                at: at(),
                why: "connection refused".into(),
            },
            ImageError::Untrusted {
                at: at(),
                why: "invalid peer certificate: UnknownIssuer".into(),
            },
            ImageError::Cut {
                at: at(),
                why: "connection reset".into(),
            },
            ImageError::Schema1,
            ImageError::NotAnImage {
                why: "its config is application/vnd.cncf.helm.config.v1+json".into(),
            },
            ImageError::MissingPlatform {
                missing: vec![Arch::Amd64, Arch::Arm64],
                found: vec!["windows/amd64".into(), "linux/s390x".into()],
            },
            ImageError::MissingPlatform {
                missing: vec![Arch::Arm64],
                found: vec![],
            },
            ImageError::Corrupt {
                at: at(),
                what: "blob",
                digest: "sha256:00".into(),
            },
            ImageError::Client {
                why: "no CA certificates".into(),
            },
            ImageError::from(FetchError::DiskFull {
                path: "images/blobs/x.part".into(),
                need: Some(7),
            }),
            ImageError::Interrupted,
        ];
        let said: Vec<String> = all
            .iter()
            .map(|e| {
                e.hint()
                    .map_or_else(|| e.to_string(), |hint| format!("{e}\n  hint: {hint}"))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
