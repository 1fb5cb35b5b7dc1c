//! What keeps a config from being resolved.

use catalogue::{DefaultsError, HopsError, ResolveError};
use cluster::{Arch, Tag};

/// A config that nothing can be resolved for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveFailure {
    #[error("the config names no hosts and no architecture")]
    NoArch,
    #[error("the bundle would not serve {}", machines(.hosts))]
    HostArch { hosts: Vec<(String, Arch)> },
    #[error(transparent)]
    Hops(#[from] HopsError),
    #[error(transparent)]
    Defaults(#[from] DefaultsError),
    #[error("spec.versions names '{name}', which the catalogue does not know")]
    UnknownName { name: String, known: Vec<String> },
    #[error("spec.versions names {name} '{tag}', which is not a full version")]
    NoVersion { name: String, tag: Tag },
    #[error("kubexm does not know the operating system '{os}'")]
    UnknownSystem {
        os: String,
        nearest: Option<String>,
        known: Vec<String>,
    },
    #[error("{}", lines(.0))]
    Files(Vec<FileFailure>),
}

/// A component that cannot be had, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}, wanted by {wanted_by}")]
pub struct FileFailure {
    pub error: ResolveError,
    pub wanted_by: String,
}

fn lines(failures: &[FileFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

impl ResolveFailure {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::HostArch { .. } => "add it to --arch, or take the host out of the config",
            Self::Hops(HopsError::NotOlder { .. }) => {
                "--upgrade-from takes the version that the cluster has now, spec.kubernetes.version the one that it is to have"
            }
            Self::Hops(HopsError::TooOld { .. }) => {
                "bring the cluster to a version that this kubexm supports first"
            }
            Self::Hops(HopsError::UnknownMinor { .. }) => {
                "use a newer kubexm, or make a bundle for each minor by itself"
            }
            Self::NoArch => "say what for: --arch amd64,arm64, or spec.arch in the config",
            Self::Defaults(DefaultsError::TooOld { .. }) => {
                "choose a newer spec.kubernetes.version"
            }
            Self::NoVersion { .. } => "give the patch as well, e.g. v1.3.0",
            Self::Files(failures)
                if failures
                    .iter()
                    .any(|f| matches!(f.error, ResolveError::Arch { .. })) =>
            {
                "name the hosts in the config, so that each gets what its own architecture has, or leave that architecture out"
            }
            Self::UnknownName { known, .. } => {
                return Some(format!("known are {}", known.join(", ")));
            }
            Self::UnknownSystem { nearest, known, .. } => {
                let meant = nearest.as_ref();
                let meant = meant.map_or_else(String::new, |os| format!("did you mean {os}? "));
                return Some(format!("{meant}known are {}", known.join(", ")));
            }
            Self::Defaults(_) | Self::Files(_) => return None,
        };
        Some(hint.to_owned())
    }
}

/// `node3 (arm64), node4 (arm64)`
fn machines(hosts: &[(String, Arch)]) -> String {
    let named = hosts.iter().map(|(name, arch)| format!("{name} ({arch})"));
    named.collect::<Vec<_>>().join(", ")
}
