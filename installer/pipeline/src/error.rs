use camino::Utf8PathBuf;

use crate::AccessError;

/// Why a pipeline did not even begin, or could not be finished. Steps that fail are in the report, not here.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("the config asks for what the bundle does not hold:\n  {}", .0.join("\n  "))]
    Missing(Vec<String>),
    #[error("install takes no node from a living cluster, nor any of these roles:\n  {}", .0.join("\n  "))]
    Retired(Vec<String>),
    #[error("the nodes run {from}, and the config asks for {to}")]
    OtherRuntime {
        from: &'static str,
        to: &'static str,
    },
    #[error("this cannot go from the cluster:\n  {}", .0.join("\n  "))]
    Parting(Vec<String>),
    #[error("this cannot be restarted:\n  {}", .0.join("\n  "))]
    Restart(Vec<String>),
    #[error("the config is another than the one applied last, and this is not what was asked for:\n  {}", .0.join("\n  "))]
    Changed(Vec<String>),
    #[error("the cluster cannot be upgraded as it is:\n  {}", .0.join("\n  "))]
    NoUpgrade(Vec<String>),
    #[error(
        "{0} is no longer what it was when the upgrade was judged: somebody else has been at work on it meanwhile"
    )]
    ChangedMeanwhile(String),
    #[error("{node} cannot go back:\n  {}", .why.join("\n  "))]
    NoRollback { node: String, why: Vec<String> },
    #[error("there is no way to log in:\n  {}", lines(.0))]
    Access(Vec<AccessError>),
    #[error("the site has no registry that images could be in")]
    NoRegistry,
    #[error("kubexm does not keep this registry, and removes nothing from it")]
    NotTheKeeper,
    #[error("what is in the registry, or what the cluster uses of it, is not known: {why}")]
    ImagesUnknown { why: String },
    #[error("the cluster does not answer: {0}")]
    Unanswered(String),
    #[error("etcd.type is external: this etcd is not kubexm's")]
    NotOurs,
    #[error("the bundle holds no etcd for the architecture of this machine")]
    NoEtcd,
    #[error("{error}")]
    Snapshot { error: String, hint: Option<String> },
    #[error("{error}")]
    Rotation { error: String, hint: Option<String> },
    #[error("a rotation of authorities is under way: {told}")]
    Rotating { told: String },
    #[error("this cluster has no authority '{name}' of its own; there are {all}")]
    NoAuthority { name: &'static str, all: String },
    #[error("{error}")]
    Recipient { error: String, hint: Option<String> },
    #[error(
        "the keys of this cluster are not in {certs}: a store that comes back would have to trust others"
    )]
    NoKeys {
        certs: Utf8PathBuf,
        /// Beside the snapshot, where its backup had recipients.
        keys: Utf8PathBuf,
    },
    #[error("there is no kubeconfig of the administrator: {path}")]
    NoKubeconfig { path: Utf8PathBuf },
    #[error("{path} names no server")]
    BrokenKubeconfig { path: Utf8PathBuf },
    #[error("'{0}' is no address of an apiserver")]
    Server(String),
    #[error("cannot read {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
    #[error("the plan is broken: {0}")]
    Plan(#[from] engine::GraphError),
    #[error(transparent)]
    Lease(#[from] engine::LeaseError),
    #[error(transparent)]
    Lock(#[from] engine::LockError),
    #[error(transparent)]
    Journal(#[from] engine::JournalError),
    #[error("cannot make {path}: {source}")]
    State {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
}

fn lines(errors: &[AccessError]) -> String {
    let line = |error: &AccessError| match error.cause() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n  ")
}

/// What to do about each of them, once.
fn hints(errors: &[AccessError]) -> Option<String> {
    let mut hints: Vec<String> = errors.iter().filter_map(AccessError::hint).collect();
    hints.sort_unstable();
    hints.dedup();
    (!hints.is_empty()).then(|| hints.join("\n"))
}

impl PipelineError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => {
                "bundle again with the config of this site, or ask for what the bundle holds"
                    .to_owned()
            }
            Self::NoRegistry => {
                "without one, images come onto nodes by spec.images and a bundle; or name a host under roleGroups.registry".to_owned()
            }
            Self::NotTheKeeper => {
                "kubexm images list tells what nobody names; its administrator removes it there".to_owned()
            }
            Self::ImagesUnknown { .. } => {
                "every registry of the site and the cluster have to answer: kubexm check tells what is wrong".to_owned()
            }
            Self::Retired(_) => {
                "run what is named behind each with -f CONFIG, or give the roles back in the config".to_owned()
            }
            Self::OtherRuntime { .. } => {
                "kubexm install --replace-runtime changes it, node by node; docs/runtimes.md tells what becomes of pods".to_owned()
            }
            Self::Changed(_) => {
                "kubexm install with the cluster's bundle does all of it; or give these keys back, and run again"
                    .to_owned()
            }
            Self::NoUpgrade(_) => {
                "nothing was changed; mend it, and run the same command again: docs/upgrading.md tells of each"
                    .to_owned()
            }
            Self::ChangedMeanwhile(_) => {
                "nothing was changed; run the same command again, and read what it tells".to_owned()
            }
            Self::NoRollback { .. } => {
                "nothing was changed; docs/upgrading.md tells what can go back, and how a snapshot restores a hop".to_owned()
            }
            Self::Access(errors) => return hints(errors),
            Self::Unanswered(_) => {
                "kubexm check tells what is wrong with it; kubexm get cluster needs no host"
                    .to_owned()
            }
            Self::NotOurs => {
                "ask whoever runs it; its address is in etcd.external.endpoints".to_owned()
            }
            Self::NoEtcd => {
                "bundle again with --arch naming it as well, or drill on a machine like the members"
                    .to_owned()
            }
            Self::Snapshot { hint, .. } | Self::Rotation { hint, .. } | Self::Recipient { hint, .. } => return hint.clone(),
            Self::Rotating { .. } => {
                "end it first, it goes on where it was cut short: kubexm certs rotate-ca -f CONFIG".to_owned()
            }
            Self::NoAuthority { name: "etcd", .. } => {
                "an etcd that was there before is its owner's to look after".to_owned()
            }
            Self::NoKeys { certs, keys } => {
                let tree = certs.parent().unwrap_or(certs);
                format!(
                    "from hosts that are there still: kubexm adopt -f CONFIG; from the backup: age --decrypt -i YOUR_KEY \
                     {keys} | tar x -C {tree}"
                )
            }
            Self::NoKubeconfig { .. } => {
                "it is made when the cluster is installed, in the work directory of that run"
                    .to_owned()
            }
            Self::BrokenKubeconfig { .. } => {
                "remove it and run install again: it is made anew".to_owned()
            }
            Self::Server(_) => "write it as https://HOST:PORT".to_owned(),
            Self::Plan(_) => "this is a mistake in kubexm; please report it".to_owned(),
            Self::Lease(error) => error.hint(),
            Self::Lock(engine::LockError::Taken { .. }) => {
                "wait for it to end; a killed run leaves no lock behind".to_owned()
            }
            _ => return None,
        })
    }
}
