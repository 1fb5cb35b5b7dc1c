use std::time::Duration;

use camino::Utf8PathBuf;

/// Why a host could not be asked, or why a file did not get there.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("the host key of {address} is not known: {algorithm} {fingerprint}")]
    UnknownHostKey { address: String, algorithm: String, fingerprint: String },
    #[error("the host key of {address} has changed: expected {expected}, the host shows {shown}")]
    ChangedHostKey { address: String, expected: String, shown: String },
    #[error("{user}@{address} was refused: {why}")]
    LoginRefused { user: String, address: String, why: String },
    #[error("sudo refused {user}: {why}")]
    SudoRefused { user: String, why: String },
    #[error("the connection to {address} was lost: {why}")]
    Lost { address: String, why: String },
    #[error("no answer within {} s: {command}", .limit.as_secs())]
    Timeout { command: String, limit: Duration },
    #[error("cannot read {path}: {why}")]
    Source { path: Utf8PathBuf, why: String },
    #[error("cannot put {path} in place: {why}")]
    Upload { path: Utf8PathBuf, why: String },
    #[error("{path} arrived damaged: expected SHA-256 {expected}, the host computed {found}")]
    Damaged { path: Utf8PathBuf, expected: String, found: String },
    #[error("no space for {path}: {why}")]
    NoSpace { path: Utf8PathBuf, why: String },
    #[error("unexpected answer to {command}: {why}")]
    Answer { command: String, why: String },
}

impl HostError {
    /// Whether trying again may help without anybody changing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. } | Self::Damaged { .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { .. } => {
                "is the host up, and are `address` and `port` right?".to_owned()
            }
            Self::UnknownHostKey { .. } => {
                "compare the fingerprint on the host's console, then set `hostKey` for it, add it to known_hosts, or \
                 run once with --accept-new-host-keys"
                    .to_owned()
            }
            Self::ChangedHostKey { .. } => {
                "somebody may be in between. If the host was set up anew, remove its old line from known_hosts or \
                 correct `hostKey`"
                    .to_owned()
            }
            Self::LoginRefused { .. } => {
                "check `user`, `password` or `privateKeyPath` of the host".to_owned()
            }
            Self::SudoRefused { .. } => {
                "the user needs sudo; set `sudoPassword` if it differs from `password`".to_owned()
            }
            Self::NoSpace { .. } => "free space on that file system and run again".to_owned(),
            _ => return None,
        })
    }
}
