use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use camino::{Utf8Path, Utf8PathBuf};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Arch, Cluster, IpPair, Os, RuntimeClass, Secret};

/// One machine of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// The node's name, at most 63 characters: it is a label of the node, too.
    #[schemars(extend("format" = "node-name"))]
    pub name: String,
    /// Where SSH reaches it: an IP address or a name. With a name, `internalAddress` is needed.
    #[schemars(extend("format" = "ip-or-name"))]
    pub address: String,
    /// The addresses that nodes use among themselves. Each must be on an interface of the host.
    #[serde(default, skip_serializing_if = "IpPair::is_empty")]
    #[schemars(extend("x-default" = "`address`"))]
    pub internal_address: IpPair,
    /// The port of SSH.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Who logs in: letters, digits and `_`, `.`, `-`, `@`, `\`. Anyone but root needs sudo.
    #[serde(default = "root")]
    #[schemars(extend("format" = "login"))]
    pub user: String,
    /// That user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// What sudo asks for, where it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`password`"))]
    pub sudo_password: Option<Secret>,
    /// A private key, written out. Not together with `privateKeyPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// The file that holds the private key. `~/` is the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub private_key_path: Option<Utf8PathBuf>,
    /// What opens the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Secret>,
    /// Also try the keys of the SSH agent. Without key and password the agent is tried anyway.
    #[serde(default, skip_serializing_if = "is_false")]
    pub agent: bool,
    /// The machine's public host key, `ssh-ed25519 AAAA...`, or its fingerprint, `SHA256:...`. Absent: `known_hosts`
    /// decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "ssh-host-key"))]
    pub host_key: Option<String>,
    /// The jump host in front of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`spec.bastion`"))]
    pub bastion: Option<Bastion>,
    /// The machine's architecture.
    #[serde(default = "amd64")]
    pub arch: Arch,
    /// The machine's operating system, whose packages the bundle carries: `debian-13`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "one of `system.os`"))]
    pub os: Option<Os>,
    /// Labels for the Kubernetes node, beside those of its roles. One that is taken out here is taken off the node; what
    /// others have set stays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = { "format": "label-key" }, "additionalProperties" = { "type": "string", "format": "label-value" }))]
    pub labels: BTreeMap<String, String>,
    /// Taints for the Kubernetes node: `key=value:Effect` or `key:Effect`; the effect is `NoSchedule`, `PreferNoSchedule` or
    /// `NoExecute`. One that is taken out here is taken off the node; what others have set stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "taint" }))]
    pub taints: Vec<String>,
    /// Other ways to run containers that this node has, as a pod names them in `runtimeClassName`. What they consist of is on the host
    /// already: preflight looks. With containerd and CRI-O alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtime_classes: Vec<RuntimeClass>,
}

/// A jump host through which other hosts are reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bastion {
    /// Where SSH reaches it: an IP address or a name.
    #[schemars(extend("format" = "ip-or-name"))]
    pub address: String,
    /// The port of SSH.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Who logs in: letters, digits and `_`, `.`, `-`, `@`, `\`.
    #[serde(default = "root")]
    #[schemars(extend("format" = "login"))]
    pub user: String,
    /// That user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A private key, written out. Not together with `privateKeyPath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// The file that holds the private key. `~/` is the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub private_key_path: Option<Utf8PathBuf>,
    /// What opens the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<Secret>,
    /// Also try the keys of the SSH agent. Without key and password the agent is tried anyway.
    #[serde(default, skip_serializing_if = "is_false")]
    pub agent: bool,
    /// The machine's public host key, `ssh-ed25519 AAAA...`, or its fingerprint, `SHA256:...`. Absent: `known_hosts`
    /// decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "ssh-host-key"))]
    pub host_key: Option<String>,
}

/// How to log in somewhere over SSH.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    pub address: &'a str,
    pub port: u16,
    pub user: &'a str,
    pub password: Option<&'a Secret>,
    pub private_key: Option<&'a Secret>,
    pub private_key_path: Option<&'a Utf8Path>,
    pub passphrase: Option<&'a Secret>,
    pub agent: bool,
    pub host_key: Option<&'a str>,
}

impl Host {
    /// A host with nothing but a name and an address; everything else by default.
    #[must_use]
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            internal_address: IpPair::default(),
            port: ssh_port(),
            user: root(),
            password: None,
            sudo_password: None,
            private_key: None,
            private_key_path: None,
            passphrase: None,
            agent: false,
            host_key: None,
            bastion: None,
            arch: amd64(),
            os: None,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            runtime_classes: Vec::new(),
        }
    }

    #[must_use]
    pub fn login(&self) -> Login<'_> {
        Login {
            address: &self.address,
            port: self.port,
            user: &self.user,
            password: self.password.as_ref(),
            private_key: self.private_key.as_ref(),
            private_key_path: self.private_key_path.as_deref(),
            passphrase: self.passphrase.as_ref(),
            agent: self.agent,
            host_key: self.host_key.as_deref(),
        }
    }

    /// What to tell sudo when it asks.
    #[must_use]
    pub fn sudo_password(&self) -> Option<&Secret> {
        self.sudo_password.as_ref().or(self.password.as_ref())
    }

    /// The addresses the nodes use among themselves. None only where `address` is a name and nothing else is given.
    #[must_use]
    pub fn internal(&self) -> IpPair {
        if self.internal_address.is_empty() {
            self.address
                .parse::<IpAddr>()
                .map(IpPair::from)
                .unwrap_or_default()
        } else {
            self.internal_address
        }
    }

    #[must_use]
    pub fn internal_v4(&self) -> Option<Ipv4Addr> {
        self.internal().v4
    }

    #[must_use]
    pub fn internal_v6(&self) -> Option<Ipv6Addr> {
        self.internal().v6
    }

    /// The addresses the nodes use among themselves, IPv4 first.
    #[must_use]
    pub fn internal_ips(&self) -> Vec<IpAddr> {
        self.internal().iter().collect()
    }
}

impl Bastion {
    #[must_use]
    pub fn login(&self) -> Login<'_> {
        Login {
            address: &self.address,
            port: self.port,
            user: &self.user,
            password: self.password.as_ref(),
            private_key: self.private_key.as_ref(),
            private_key_path: self.private_key_path.as_deref(),
            passphrase: self.passphrase.as_ref(),
            agent: self.agent,
            host_key: self.host_key.as_deref(),
        }
    }
}

impl Cluster {
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.spec.hosts.iter().find(|host| host.name == name)
    }

    /// The jump host in front of this host, if any.
    #[must_use]
    pub fn bastion_of<'a>(&'a self, host: &'a Host) -> Option<&'a Bastion> {
        host.bastion.as_ref().or(self.spec.bastion.as_ref())
    }
}

const fn ssh_port() -> u16 {
    22
}

fn root() -> String {
    "root".to_owned()
}

const fn amd64() -> Arch {
    Arch::Amd64
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
pub(crate) const fn is_false(value: &bool) -> bool {
    !*value
}
