//! How this person, on this machine, logs in to hosts.

use artifact::Tree;
use camino::Utf8PathBuf;
use pipeline::{Access, HostKeys, UnknownHost};

use crate::args::AccessArgs;
use crate::home;
use crate::secrets::LocalSecrets;

/// What the arguments and the environment say of it.
pub fn of(args: &AccessArgs) -> Access<'static> {
    let file = args
        .known_hosts
        .clone()
        .or_else(|| Some(home::dir()?.join(".ssh/known_hosts")));
    let unknown = match &file {
        Some(file) if args.accept_new_host_keys => UnknownHost::Accept(file.clone()),
        _ => UnknownHost::Refuse,
    };
    let mut known_hosts: Vec<Utf8PathBuf> = file.into_iter().collect();
    if args.known_hosts.is_none() {
        known_hosts.push("/etc/ssh/ssh_known_hosts".into());
    }
    let agent = std::env::var("SSH_AUTH_SOCK")
        .ok()
        .filter(|path| !path.is_empty());
    Access {
        secrets: &LocalSecrets,
        host_keys: HostKeys {
            known_hosts,
            unknown,
        },
        agent: agent.map(Utf8PathBuf::from),
        records: None,
    }
}

/// The same, and what is done on each host is kept in the tree.
pub fn recorded(args: &AccessArgs, tree: &Tree) -> Access<'static> {
    Access {
        records: Some(tree.hosts()),
        ..of(args)
    }
}
