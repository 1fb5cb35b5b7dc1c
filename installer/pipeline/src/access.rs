use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{Cluster, Login, Role, Secret, SecretError, SecretSource};
use engine::Inventory;
use host::local::LocalHost;
use host::ssh::{Auth, HostKeys, Options, PinnedKey, PinnedKeyError, SshHost, Target};
use host::{FirstOf, Host, Recorded, Redactor};
use module::{CONTROL_PLANE, ETCD, OPERATOR, api_answers, etcd_of};
use secrecy::SecretString;

use crate::PipelineError;

/// What it takes to log in, beside the config.
pub struct Access<'a> {
    pub secrets: &'a dyn SecretSource,
    pub host_keys: HostKeys,
    /// The SSH agent's socket, where one runs.
    pub agent: Option<Utf8PathBuf>,
    /// Where a directory for each host keeps what was done there; nowhere if nothing is to be done.
    pub records: Option<Utf8PathBuf>,
}

/// Why it is already known that a login cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("{host}: {source}")]
    Secret { host: String, source: SecretError },
    #[error("{host}: {source}")]
    HostKey {
        host: String,
        source: PinnedKeyError,
    },
    #[error("{host}: neither password nor key is given, and no SSH agent runs")]
    Nothing { host: String },
}

impl AccessError {
    /// What the system said, where that is not in the error's own words.
    pub(crate) fn cause(&self) -> Option<&std::io::Error> {
        match self {
            Self::Secret {
                source: SecretError::File { source, .. },
                ..
            } => Some(source),
            _ => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Secret { source, .. } => source.hint(),
            Self::HostKey { .. } => None,
            Self::Nothing { .. } => Some(
                "give a privateKeyPath or a password in the config, or start an SSH agent"
                    .to_owned(),
            ),
        }
    }
}

/// The operator's own machine, for what touches no host.
#[must_use]
pub fn operator_alone() -> Inventory {
    let operator: Arc<dyn Host> = Arc::new(LocalHost::new(OPERATOR, Redactor::default()));
    [(OPERATOR.to_owned(), operator)].into_iter().collect()
}

/// The hosts of a config, the operator's own machine, the control plane as whichever master answers, and the store as
/// whichever member does. Connects to nothing yet. All that is missing is told at once.
pub fn inventory(cluster: &Cluster, access: &Access<'_>) -> Result<Inventory, PipelineError> {
    inventory_of(cluster, cluster, access)
}

/// The same for hosts of which only some stay: those of `staying` are the control plane, and the store.
pub fn inventory_of(
    cluster: &Cluster,
    staying: &Cluster,
    access: &Access<'_>,
) -> Result<Inventory, PipelineError> {
    let mut bastions = Bastions {
        access,
        made: BTreeMap::new(),
    };
    let (mut inventory, mut errors) = (Inventory::new(), Vec::new());
    let operator = LocalHost::new(OPERATOR, Redactor::default());
    inventory.insert(OPERATOR.to_owned(), Arc::new(operator));
    for host in &cluster.spec.hosts {
        let mut reached = || -> Result<SshHost, AccessError> {
            let bastion = cluster
                .bastion_of(host)
                .map(|bastion| bastions.through(bastion.login()));
            let sudo = resolved(access, &host.name, host.sudo_password())?;
            let target = target(access, &host.name, host.login(), sudo, bastion.transpose()?)?;
            Ok(SshHost::new(
                target,
                access.host_keys.clone(),
                Options::default(),
            ))
        };
        match reached() {
            Ok(ssh) => {
                let reached: Arc<dyn Host> = match &access.records {
                    Some(records) => Arc::new(Recorded::new(ssh, records.join(&host.name))),
                    None => Arc::new(ssh),
                };
                inventory.insert(host.name.clone(), reached);
            }
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(PipelineError::Access(errors));
    }
    let masters = staying.hosts_in(Role::Master).into_iter();
    let masters = masters.filter_map(|master| inventory.get(&master.name).cloned());
    let control_plane = FirstOf::new(CONTROL_PLANE, masters.collect(), api_answers());
    inventory.insert(CONTROL_PLANE.to_owned(), Arc::new(control_plane));
    let (etcd, members) = etcd_of(staying);
    let members = members.into_iter();
    let members = members.filter_map(|member| inventory.get(&member.name).cloned());
    let etcd = FirstOf::new(ETCD, members.collect(), etcd.answers_here());
    inventory.insert(ETCD.to_owned(), Arc::new(etcd));
    Ok(inventory)
}

/// Hosts behind one bastion share its connection.
struct Bastions<'a> {
    access: &'a Access<'a>,
    made: BTreeMap<(String, u16, String), Arc<SshHost>>,
}

impl Bastions<'_> {
    fn through(&mut self, login: Login<'_>) -> Result<Arc<SshHost>, AccessError> {
        let key = (login.address.to_owned(), login.port, login.user.to_owned());
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let name = format!("bastion {}", login.address);
        let target = target(self.access, &name, login, None, None)?;
        let keys = self.access.host_keys.clone();
        let bastion = Arc::new(SshHost::new(target, keys, Options::default()));
        self.made.insert(key, bastion.clone());
        Ok(bastion)
    }
}

fn target(
    access: &Access<'_>,
    name: &str,
    login: Login<'_>,
    sudo_password: Option<SecretString>,
    bastion: Option<Arc<SshHost>>,
) -> Result<Target, AccessError> {
    let pinned = login.host_key.map(str::parse::<PinnedKey>).transpose();
    let host_key = pinned.map_err(|source| AccessError::HostKey {
        host: name.to_owned(),
        source,
    })?;
    Ok(Target {
        name: name.to_owned(),
        address: login.address.to_owned(),
        port: login.port,
        user: login.user.to_owned(),
        auth: auth(access, name, login)?,
        sudo_password,
        host_key,
        bastion,
    })
}

/// Every way to log in that the config gives; the agent where it gives none.
fn auth(access: &Access<'_>, name: &str, login: Login<'_>) -> Result<Vec<Auth>, AccessError> {
    let mut ways = Vec::new();
    let passphrase = resolved(access, name, login.passphrase)?;
    if let Some(text) = resolved(access, name, login.private_key)? {
        let origin = "privateKey".to_owned();
        ways.push(Auth::Key {
            text,
            passphrase: passphrase.clone(),
            origin,
        });
    }
    if let Some(path) = login.private_key_path {
        let text = resolved(access, name, Some(&Secret::File(path.to_owned())))?;
        ways.extend(text.map(|text| Auth::Key {
            text,
            passphrase,
            origin: path.to_string(),
        }));
    }
    let password = resolved(access, name, login.password)?;
    if let Some(socket) = &access.agent
        && (login.agent || (ways.is_empty() && password.is_none()))
    {
        ways.push(Auth::Agent {
            socket: socket.clone(),
        });
    }
    ways.extend(password.map(Auth::Password));
    if ways.is_empty() {
        Err(AccessError::Nothing {
            host: name.to_owned(),
        })
    } else {
        Ok(ways)
    }
}

fn resolved(
    access: &Access<'_>,
    name: &str,
    secret: Option<&Secret>,
) -> Result<Option<SecretString>, AccessError> {
    secret
        .map(|secret| secret.resolve(access.secrets))
        .transpose()
        .map_err(|source| AccessError::Secret {
            host: name.to_owned(),
            source,
        })
}
