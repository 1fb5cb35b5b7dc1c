use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Cluster, Host};

/// What a machine does in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Registry,
    Etcd,
    Master,
    Worker,
    LoadBalancer,
}

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Registry,
        Self::Etcd,
        Self::Master,
        Self::Worker,
        Self::LoadBalancer,
    ];

    /// The role's key under `roleGroups`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Etcd => "etcd",
            Self::Master => "master",
            Self::Worker => "worker",
            Self::LoadBalancer => "loadbalancer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Which machine does what: each role with names of hosts, or ranges of them such as `node[5:7]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RoleGroups {
    /// Members of etcd. Needed where there are masters, unless etcd is `kubeadm` or `external`. An odd number. The first one
    /// founds the cluster. With `etcd.type: kubeadm` the masters are the members, whatever stands here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub etcd: Vec<HostPattern>,
    /// Nodes of the control plane. Masters that are no workers are tainted
    /// `node-role.kubernetes.io/control-plane:NoSchedule`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-aliases" = ["control-plane", "controlPlane"]))]
    pub master: Vec<HostPattern>,
    /// Nodes that run workloads. There must be a master that they can join.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worker: Vec<HostPattern>,
    /// The host with the image registry, or two of them: both hold all images, and nodes pull from the second while the first is down.
    /// Absent: images are imported on each node, unless `registry.type` is `external`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub registry: Vec<HostPattern>,
    /// Hosts with keepalived and a load balancer, for `externalLoadBalancer: kubexm`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-aliases" = ["loadBalancer"]))]
    pub loadbalancer: Vec<HostPattern>,
}

impl RoleGroups {
    #[must_use]
    pub fn of(&self, role: Role) -> &[HostPattern] {
        match role {
            Role::Registry => &self.registry,
            Role::Etcd => &self.etcd,
            Role::Master => &self.master,
            Role::Worker => &self.worker,
            Role::LoadBalancer => &self.loadbalancer,
        }
    }

    pub(crate) fn of_mut(&mut self, role: Role) -> &mut Vec<HostPattern> {
        match role {
            Role::Registry => &mut self.registry,
            Role::Etcd => &mut self.etcd,
            Role::Master => &mut self.master,
            Role::Worker => &mut self.worker,
            Role::LoadBalancer => &mut self.loadbalancer,
        }
    }
}

/// A host's name, or a range of names: `node[5:7]` is node5, node6 and node7.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern {
    text: String,
    names: Vec<String>,
    range: Option<Range>,
}

/// Where the number stands in the names of a range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Range {
    prefix: usize,
    suffix: usize,
    first: u32,
}

impl HostPattern {
    /// No range may name more hosts than this, nor all roles of a config together.
    pub const MAX_RANGE: usize = 10_000;

    /// One host by its name.
    pub(crate) fn one(name: &str) -> Self {
        Self {
            text: name.to_owned(),
            names: vec![name.to_owned()],
            range: None,
        }
    }

    /// The names it stands for, in order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether this is one of the names. A range is not gone through: sites have thousands of hosts, and each is asked for.
    #[must_use]
    pub fn stands_for(&self, name: &str) -> bool {
        let place = match self.range {
            None => Some(0),
            Some(Range {
                prefix,
                suffix,
                first,
            }) => name
                .get(prefix..name.len().saturating_sub(suffix))
                .and_then(|number| number.parse::<u32>().ok())
                .and_then(|number| number.checked_sub(first))
                .and_then(|place| usize::try_from(place).ok()),
        };
        place
            .and_then(|place| self.names.get(place))
            .is_some_and(|it| it == name)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is neither a host's name nor a range of names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    #[error("'{0}' is not a range of hosts")]
    Form(String),
    #[error("the range '{0}' runs backwards")]
    Backwards(String),
    #[error("the range '{0}' names more than {max} hosts", max = HostPattern::MAX_RANGE)]
    TooMany(String),
}

impl InvalidPattern {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooMany(_) => format!(
                "a range stands for up to {} hosts: write several, or fewer",
                HostPattern::MAX_RANGE
            ),
            Self::Form(_) | Self::Backwards(_) => {
                "write a range as node[5:7], the first and the last number".to_owned()
            }
        })
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.trim().to_owned();
        let form = || InvalidPattern::Form(text.clone());
        let Some((prefix, rest)) = text.split_once('[') else {
            if text.is_empty() || text.contains([']', ':', ' ']) {
                return Err(form());
            }
            return Ok(Self {
                names: vec![text.clone()],
                text,
                range: None,
            });
        };
        let (range, suffix) = rest.split_once(']').ok_or_else(form)?;
        let (first, last) = range.split_once(':').ok_or_else(form)?;
        let (first, last) = (first.trim(), last.trim());
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(first) || !digits(last) || suffix.contains(['[', ']']) {
            return Err(form());
        }
        let from: u32 = first.parse().map_err(|_| form())?;
        let to: u32 = last.parse().map_err(|_| form())?;
        if from > to {
            return Err(InvalidPattern::Backwards(text));
        }
        if (to - from) as usize >= Self::MAX_RANGE {
            return Err(InvalidPattern::TooMany(text));
        }
        // `node[01:10]` keeps its leading zeros.
        let width = if first.starts_with('0') {
            first.len()
        } else {
            1
        };
        let names = (from..=to)
            .map(|n| format!("{prefix}{n:0width$}{suffix}"))
            .collect();
        let range = Some(Range {
            prefix: prefix.len(),
            suffix: suffix.len(),
            first: from,
        });
        Ok(Self { text, names, range })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.text
    }
}

impl JsonSchema for HostPattern {
    fn schema_name() -> Cow<'static, str> {
        "HostPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "host-pattern",
            "description": "A host's name, or a range of names: node[5:7] is node5, node6 and node7.",
            "examples": ["node1", "node[5:7]"],
        })
    }
}

impl Cluster {
    /// The hosts of a role, in the order they are named, each once.
    #[must_use]
    pub fn hosts_in(&self, role: Role) -> Vec<&Host> {
        let hosts = self.spec.hosts.iter();
        let mut hosts: HashMap<&str, &Host> =
            hosts.rev().map(|host| (host.name.as_str(), host)).collect();
        let names = self.spec.role_groups.of(role).iter();
        names
            .flat_map(HostPattern::names)
            .filter_map(|name| hosts.remove(name.as_str()))
            .collect()
    }

    /// What this host does. Empty for a host that is in no role.
    #[must_use]
    pub fn roles_of(&self, host: &str) -> BTreeSet<Role> {
        Role::ALL
            .into_iter()
            .filter(|role| self.is_in(host, *role))
            .collect()
    }

    /// Whether this host has the role.
    #[must_use]
    pub fn is_in(&self, host: &str, role: Role) -> bool {
        let mut patterns = self.spec.role_groups.of(role).iter();
        patterns.any(|pattern| pattern.stands_for(host))
    }

    /// The first host with the image registry, if there is one.
    #[must_use]
    pub fn registry_host(&self) -> Option<&Host> {
        self.first_in(Role::Registry)
    }

    /// The first host of a role, without looking at the others.
    #[must_use]
    pub fn first_in(&self, role: Role) -> Option<&Host> {
        let patterns = self.spec.role_groups.of(role).iter();
        let mut names = patterns.flat_map(HostPattern::names);
        names.find_map(|name| self.host(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.parse::<HostPattern>().unwrap().names().to_vec()
    }

    #[test]
    fn a_range_stands_for_its_names() {
        assert_eq!(names("node1"), ["node1"]);
        assert_eq!(names("node[5:6]"), ["node5", "node6"]);
        assert_eq!(names("rack[1:2]-a"), ["rack1-a", "rack2-a"]);
        assert_eq!(names("node[09:10]"), ["node09", "node10"]);
        assert_eq!(names("node[0:1]"), ["node0", "node1"]);
    }

    #[test]
    fn a_pattern_knows_its_names_and_no_others() {
        for (text, others) in [
            ("node1", ["node", "node11", "", "node2"]),
            ("node[5:6]", ["node4", "node7", "node05", "node+5"]),
            ("rack[1:2]-a", ["rack1", "rack-a", "rack1-b", "rack3-a"]),
            ("node[09:10]", ["node9", "node010", "node11", "n\u{f6}de09"]),
            ("[1:3]", ["", "0", "4", "01"]),
        ] {
            let pattern: HostPattern = text.parse().unwrap();
            assert!(pattern.names().iter().all(|name| pattern.stands_for(name)));
            assert!(
                !others.iter().any(|name| pattern.stands_for(name)),
                "{text}"
            );
        }
    }

    #[test]
    fn hosts_keep_the_order_of_their_role_and_come_once() {
        let parsed = crate::parse("c.yaml", crate::init_template()).unwrap();
        let mut cluster = parsed.cluster;
        let pattern = |text: &str| text.parse::<HostPattern>().unwrap();
        cluster.spec.role_groups.etcd = vec![pattern("node2"), pattern("node[1:2]")];
        let etcd: Vec<&str> = cluster
            .hosts_in(Role::Etcd)
            .iter()
            .map(|host| host.name.as_str())
            .collect();
        assert_eq!(etcd, ["node2", "node1"]);
        assert_eq!(
            cluster.roles_of("node2"),
            BTreeSet::from([Role::Etcd, Role::Worker])
        );
        assert_eq!(
            cluster.registry_host().map(|host| host.name.as_str()),
            Some("registry1")
        );
    }
}
