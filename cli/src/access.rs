//! How hosts are logged in to, beside what the config says.

use camino::{Utf8Path, Utf8PathBuf};
use pipeline::{Access, HostKeys, UnknownHost};

use crate::home;
use crate::secrets::LocalSecrets;

/// Host keys are looked up in `known_hosts`, or else where ssh looks them up.
pub fn of(known_hosts: Option<&Utf8Path>, accept_new_host_keys: bool) -> Access<'static> {
    let file = known_hosts
        .map(Utf8Path::to_owned)
        .or_else(|| Some(home::dir()?.join(".ssh/known_hosts")));
    let unknown = match &file {
        Some(file) if accept_new_host_keys => UnknownHost::Accept(file.clone()),
        _ => UnknownHost::Refuse,
    };
    let mut files: Vec<Utf8PathBuf> = file.into_iter().collect();
    if known_hosts.is_none() {
        files.push("/etc/ssh/ssh_known_hosts".into());
    }
    let agent = std::env::var("SSH_AUTH_SOCK")
        .ok()
        .filter(|path| !path.is_empty());
    Access {
        secrets: &LocalSecrets,
        host_keys: HostKeys {
            known_hosts: files,
            unknown,
        },
        agent: agent.map(Utf8PathBuf::from),
    }
}
