//! How a config becomes another when hosts come and go, and how far two configs differ.

use serde_json::Value;

use crate::{Cluster, Host, HostPattern, Role};

/// Of a host: how it is reached. Nothing on it follows from that.
const LOGIN: [&str; 11] = [
    "address",
    "port",
    "user",
    "password",
    "sudoPassword",
    "privateKey",
    "privateKeyPath",
    "passphrase",
    "agent",
    "hostKey",
    "bastion",
];

impl Cluster {
    /// Without these hosts, in whatever role.
    #[must_use]
    pub fn without(&self, hosts: &[String]) -> Self {
        let mut left = self.without_roles(hosts, &Role::ALL);
        left.spec.hosts.retain(|host| !hosts.contains(&host.name));
        left
    }

    /// The same hosts, these without some roles.
    #[must_use]
    pub fn without_roles(&self, hosts: &[String], roles: &[Role]) -> Self {
        let mut left = self.clone();
        for role in roles {
            let patterns = left.spec.role_groups.of_mut(*role);
            *patterns = std::mem::take(patterns)
                .into_iter()
                .flat_map(|pattern| without_names(pattern, hosts))
                .collect();
        }
        left
    }

    /// These hosts of another config as well, in the roles that they have there.
    #[must_use]
    pub fn with(&self, other: &Self, hosts: &[String]) -> Self {
        let mut more = self.without(hosts);
        let added = other.spec.hosts.iter();
        let added = added.filter(|host| hosts.contains(&host.name));
        more.spec.hosts.extend(added.cloned());
        for role in Role::ALL {
            let named = other.hosts_in(role).into_iter();
            let named = named.filter(|host| hosts.contains(&host.name));
            let named = named.map(|host| HostPattern::one(&host.name));
            more.spec.role_groups.of_mut(role).extend(named);
        }
        more
    }

    /// The same with whatever another config says of how to log in: secrets are in no config that was kept.
    #[must_use]
    pub fn with_logins_of(&self, other: &Self) -> Self {
        let mut copy = self.clone();
        copy.spec.bastion.clone_from(&other.spec.bastion);
        copy.spec
            .registry
            .auths
            .clone_from(&other.spec.registry.auths);
        for host in &mut copy.spec.hosts {
            let Some(of) = other.host(&host.name) else {
                continue;
            };
            let internal = host.internal();
            *host = Host {
                internal_address: internal,
                arch: host.arch,
                os: host.os.clone(),
                labels: host.labels.clone(),
                taints: host.taints.clone(),
                runtime_classes: host.runtime_classes.clone(),
                ..of.clone()
            };
        }
        copy
    }

    /// The keys in which two configs differ, but for logins, for hosts that only one of them has, and for roles that only `more`
    /// has.
    #[must_use]
    pub fn differences(&self, more: &Self) -> Vec<String> {
        let known = |name: &String| self.host(name).is_some() && more.host(name).is_some();
        let mut told = Vec::new();
        for role in Role::ALL {
            let names = |cluster: &Self| -> Vec<String> {
                let hosts = cluster.hosts_in(role).into_iter();
                hosts.map(|host| host.name.clone()).collect()
            };
            let (mut before, mut now) = (names(self), names(more));
            now.retain(|name| before.contains(name));
            before.retain(known);
            if before != now {
                told.push(format!("spec.roleGroups.{}", role.key()));
            }
        }
        let mut both = [self, more].map(|cluster| {
            let mut copy = cluster.written_out();
            copy.spec.role_groups = crate::RoleGroups::default();
            copy.spec.hosts.retain(|host| known(&host.name));
            copy.spec.bastion = None;
            copy.spec.registry.auths.clear();
            copy.spec.hosts.sort_by(|a, b| a.name.cmp(&b.name));
            serde_json::to_value(copy).unwrap_or_default()
        });
        for value in &mut both {
            let hosts = value["spec"]["hosts"].as_array_mut();
            for host in hosts.into_iter().flatten().filter_map(Value::as_object_mut) {
                host.retain(|key, _| !LOGIN.contains(&key.as_str()));
            }
        }
        let [before, now] = &both;
        compare("", before, now, &mut told);
        told
    }
}

fn without_names(pattern: HostPattern, hosts: &[String]) -> Vec<HostPattern> {
    if !pattern.names().iter().any(|name| hosts.contains(name)) {
        return vec![pattern];
    }
    let stay = pattern.names().iter().filter(|name| !hosts.contains(name));
    stay.map(|name| HostPattern::one(name)).collect()
}

fn compare(at: &str, before: &Value, now: &Value, told: &mut Vec<String>) {
    if before == now {
        return;
    }
    let (Some(left), Some(right)) = (before.as_object(), now.as_object()) else {
        told.push(at.to_owned());
        return;
    };
    let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let path = if at.is_empty() {
            key.clone()
        } else {
            format!("{at}.{key}")
        };
        let of =
            |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or_default();
        compare(&path, &of(left), &of(right), told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Cluster {
        let head = "apiVersion: kubexm.mensylisir.io/v1alpha1\nkind: Cluster\nmetadata: {name: c}\nspec:\n";
        crate::parse("c.yaml", &format!("{head}{text}"))
            .unwrap()
            .cluster
    }

    const HOSTS: &str = "  hosts:
    - {name: node1, address: 10.0.0.1}
    - {name: node2, address: 10.0.0.2, labels: {disk: fast}}
    - {name: node3, address: 10.0.0.3, user: ops, password: {env: WORD}}
";
    const ROLES: &str =
        "  roleGroups: {etcd: [\"node[1:3]\"], master: [node1], worker: [\"node[2:3]\"]}\n";

    fn names(cluster: &Cluster, role: Role) -> Vec<&str> {
        let hosts = cluster.hosts_in(role).into_iter();
        hosts.map(|host| host.name.as_str()).collect()
    }

    #[test]
    fn a_host_goes_out_of_every_range_that_names_it() {
        let cluster = config(&format!("{HOSTS}{ROLES}"));
        let left = cluster.without(&["node2".to_owned()]);
        assert_eq!(names(&left, Role::Etcd), ["node1", "node3"]);
        assert_eq!(names(&left, Role::Worker), ["node3"]);
        assert!(left.host("node2").is_none());
        let left = cluster.without_roles(&["node2".to_owned()], &[Role::Etcd]);
        assert_eq!(names(&left, Role::Etcd), ["node1", "node3"]);
        assert_eq!(names(&left, Role::Worker), ["node2", "node3"]);
        let back = left.with(&cluster, &["node2".to_owned()]);
        assert_eq!(names(&back, Role::Etcd), ["node1", "node3", "node2"]);
        assert_eq!(back.spec.hosts.len(), 3);
    }

    #[test]
    fn logins_come_from_the_config_and_all_else_stays() {
        let before = config(&format!("{HOSTS}{ROLES}")).redacted();
        let now = config(
            &format!("{HOSTS}{ROLES}")
                .replace("{env: WORD}", "secret")
                .replace("disk: fast", "disk: slow"),
        );
        let merged = before.with_logins_of(&now);
        assert!(
            merged
                .host("node3")
                .unwrap()
                .password
                .as_ref()
                .unwrap()
                .is_plain()
        );
        assert_eq!(merged.host("node2").unwrap().labels["disk"], "fast");
    }

    #[test]
    fn what_differs_is_named_but_for_new_hosts_and_logins() {
        let before = config(&format!("{HOSTS}{ROLES}"));
        let added = format!("{HOSTS}    - {{name: node4, address: 10.0.0.4}}\n{ROLES}");
        let added = added.replace("worker: [\"node[2:3]\"]", "worker: [\"node[2:4]\"]");
        let told = |text: &str| before.differences(&config(text));
        assert!(told(&added).is_empty(), "{:?}", told(&added));
        assert!(told(&added.replace("user: ops", "user: root")).is_empty());
        assert_eq!(
            told(&added.replace("disk: fast", "disk: slow")),
            ["spec.hosts"]
        );
        let other = format!("{added}  etcd: {{heartbeatInterval: 150}}\n");
        assert_eq!(told(&other), ["spec.etcd.heartbeatInterval"]);
        assert_eq!(
            told(&added.replace("etcd: [\"node[1:3]\"]", "etcd: [node1]")),
            ["spec.roleGroups.etcd"]
        );
    }
}
