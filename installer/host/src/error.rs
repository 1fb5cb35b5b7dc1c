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
    #[error("{user}@{address} may log in, but not run commands: {why}")]
    NoCommands {
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
            | Self::NoCommands { why, .. }
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
            Self::NoCommands { .. } => {
                "give the user a login shell, and look at ForceCommand and MaxSessions of the host's sshd"
                    .to_owned()
            }
            Self::SudoRefused { .. } => {
                "the user needs sudo; set `sudoPassword` if it differs from `password`".to_owned()
            }
            Self::NoSpace { .. } => "free space on that file system and run again".to_owned(),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: &str = "because";

    fn address() -> String {
        "10.0.0.5:22".to_owned()
    }

    /// The errors as people meet them.
    fn golden(errors: impl IntoIterator<Item = HostError>) -> String {
        let mut lines = Vec::new();
        for error in errors {
            lines.push(error.to_string());
            lines.extend(error.hint().map(|hint| format!("  hint: {hint}")));
        }
        lines.join("\n")
    }

    #[test]
    fn errors_of_host_keys() {
        let (algorithm, fingerprint) = ("ssh-ed25519".to_owned(), "SHA256:abc".to_owned());
        let (expected, shown) = (
            "ssh-rsa SHA256:def".to_owned(),
            "ssh-ed25519 SHA256:abc".to_owned(),
        );
        let at = "/root/.ssh/known_hosts:3".to_owned();
        insta::assert_snapshot!(golden([
            HostError::UnknownHostKey {
                address: address(),
                algorithm: algorithm.clone(),
                fingerprint: fingerprint.clone(),
            },
            HostError::ChangedHostKey { address: address(), expected, shown },
            HostError::RevokedHostKey { address: address(), algorithm, fingerprint, at: at.clone() },
            HostError::HostKeyAuthority { address: address(), at },
            HostError::KnownHosts { path: "/root/.ssh/known_hosts".into(), why: WHY.into() },
        ]), @r"
        the host key of 10.0.0.5:22 is not known: ssh-ed25519 SHA256:abc
          hint: compare the fingerprint on the host's console, then set `hostKey` for it, add it to known_hosts, or run once with --accept-new-host-keys
        the host key of 10.0.0.5:22 has changed: expected ssh-rsa SHA256:def, the host shows ssh-ed25519 SHA256:abc
          hint: somebody may be in between. If the host was set up anew, remove its old line from known_hosts or correct `hostKey`
        the host key of 10.0.0.5:22 is revoked by /root/.ssh/known_hosts:3: ssh-ed25519 SHA256:abc
          hint: do not use this key again: make a new one on the host (`ssh-keygen -A` after removing the old) and make it known
        10.0.0.5:22 is known only through a certificate authority (/root/.ssh/known_hosts:3), and host certificates are not supported
          hint: set `hostKey` for it, or add its plain key to known_hosts
        cannot use the known hosts in /root/.ssh/known_hosts: because
        ");
    }

    #[test]
    fn errors_of_connections_and_logins() {
        let (user, why) = (|| "ubuntu".to_owned(), || WHY.to_owned());
        insta::assert_snapshot!(golden([
            HostError::Unreachable { address: address(), why: why() },
            HostError::LoginRefused { user: user(), address: address(), why: why() },
            HostError::NoCommands { user: user(), address: address(), why: why() },
            HostError::SudoRefused { user: user(), why: why() },
            HostError::Lost { address: address(), why: why() },
        ]), @r"
        cannot reach 10.0.0.5:22: because
          hint: is the host up, and are `address` and `port` right?
        ubuntu@10.0.0.5:22 was refused: because
          hint: check `user`, `password` or `privateKeyPath` of the host
        ubuntu@10.0.0.5:22 may log in, but not run commands: because
          hint: give the user a login shell, and look at ForceCommand and MaxSessions of the host's sshd
        sudo refused ubuntu: because
          hint: the user needs sudo; set `sudoPassword` if it differs from `password`
        the connection to 10.0.0.5:22 was lost: because
        ");
    }

    #[test]
    fn errors_of_commands_and_uploads() {
        let (path, why) = (|| Utf8PathBuf::from("/etc/file"), || WHY.to_owned());
        insta::assert_snapshot!(golden([
            HostError::Timeout { command: "etcdctl ...".into(), limit: Duration::from_mins(2) },
            HostError::Answer { command: "uname".into(), why: why() },
            HostError::Source { path: path(), why: why() },
            HostError::Upload { path: path(), why: why() },
            HostError::Damaged { path: path(), expected: "abc".into(), found: "def".into() },
            HostError::NoSpace { path: path(), why: why() },
        ]), @r"
        no answer within 120 s: etcdctl ...
        unexpected answer to uname: because
        cannot read /etc/file: because
        cannot put /etc/file in place: because
        /etc/file arrived damaged: expected SHA-256 abc, the host computed def
        no space for /etc/file: because
          hint: free space on that file system and run again
        ");
    }
}
