use std::time::Duration;

use camino::Utf8PathBuf;

/// Why a host could not be asked, or why a file did not get there.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("cannot reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("the host key of {address} is not known: {algorithm} {fingerprint}")]
    UnknownHostKey {
        address: String,
        algorithm: String,
        fingerprint: String,
    },
    #[error("the host key of {address} has changed: expected {expected}, the host shows {shown}")]
    ChangedHostKey {
        address: String,
        expected: String,
        shown: String,
    },
    #[error("the host key of {address} is revoked by {at}: {algorithm} {fingerprint}")]
    RevokedHostKey {
        address: String,
        algorithm: String,
        fingerprint: String,
        at: String,
    },
    #[error(
        "{address} is known only through a certificate authority ({at}), and host certificates are not supported"
    )]
    HostKeyAuthority { address: String, at: String },
    #[error("cannot use the known hosts in {path}: {why}")]
    KnownHosts { path: Utf8PathBuf, why: String },
    #[error("{user}@{address} was refused: {why}")]
    LoginRefused {
        user: String,
        address: String,
        why: String,
    },
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
    Damaged {
        path: Utf8PathBuf,
        expected: String,
        found: String,
    },
    #[error("no space for {path}: {why}")]
    NoSpace { path: Utf8PathBuf, why: String },
    #[error("unexpected answer to {command}: {why}")]
    Answer { command: String, why: String },
}

impl HostError {
    /// What in it was said by a host or a user, and so may hold a secret.
    pub(crate) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Unreachable { why, .. }
            | Self::KnownHosts { why, .. }
            | Self::LoginRefused { why, .. }
            | Self::SudoRefused { why, .. }
            | Self::Lost { why, .. }
            | Self::Source { why, .. }
            | Self::Upload { why, .. }
            | Self::NoSpace { why, .. } => vec![why],
            Self::Timeout { command, .. } => vec![command],
            Self::Answer { command, why } => vec![command, why],
            Self::UnknownHostKey { .. }
            | Self::ChangedHostKey { .. }
            | Self::RevokedHostKey { .. }
            | Self::HostKeyAuthority { .. }
            | Self::Damaged { .. } => Vec::new(),
        }
    }

    /// Whether trying again may help without anybody changing anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Lost { .. }
                | Self::Timeout { .. }
                | Self::Damaged { .. }
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
            Self::RevokedHostKey { .. } => {
                "do not use this key again: make a new one on the host (`ssh-keygen -A` after removing the old) and \
                 make it known"
                    .to_owned()
            }
            Self::HostKeyAuthority { .. } => {
                "set `hostKey` for it, or add its plain key to known_hosts".to_owned()
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
