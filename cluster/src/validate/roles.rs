use std::collections::BTreeSet;

use super::Check;
use crate::{EtcdType, HostPattern, KeyPath, Role};

const HOSTS: &str = "spec.hosts";

pub(super) fn check(check: &mut Check<'_>) {
    for role in Role::ALL {
        members(check, role);
    }
    few_registries(check);
    masters(check);
    etcd_members(check);
    idle(check);
}

fn path(role: Role) -> KeyPath {
    KeyPath::of("spec.roleGroups").key(role.key())
}

fn members(check: &mut Check<'_>, role: Role) {
    let cluster = check.cluster;
    // Without hosts (they come with `install -f`), or with some refused, nobody can say who is unknown.
    let hosts = &cluster.spec.hosts;
    let judge = !hosts.is_empty() && every_host_has_its_name(check);
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    for (at, pattern) in cluster.spec.role_groups.of(role).iter().enumerate() {
        let here = path(role).index(at);
        let unknown: Vec<&String> = pattern
            .names()
            .iter()
            .filter(|name| judge && cluster.host(name).is_none())
            .collect();
        if let [first, more @ ..] = unknown.as_slice() {
            let range = pattern.names().len() > 1;
            let from = if range {
                format!(" (from '{pattern}')")
            } else {
                String::new()
            };
            let more = match more.len() {
                0 => String::new(),
                n => format!(", like {n} more of the range"),
            };
            check.error(
                here.clone(),
                format!("the {role} '{first}'{from} is in no host list{more}"),
                "add it to spec.hosts, or take it out of the role".to_owned(),
            );
        }
        if let Some(name) = pattern.names().iter().find(|name| seen.contains(name)) {
            check.warn(here, format!("'{name}' is named twice as {role}"), None);
        }
        seen.extend(pattern.names());
    }
}

/// Whatever else may be wrong with the hosts.
fn every_host_has_its_name(check: &Check<'_>) -> bool {
    !check.places.is_cut(&KeyPath::of(HOSTS))
        && check
            .cluster
            .spec
            .hosts
            .iter()
            .all(|host| !host.name.is_empty())
}

/// More would only be more to fill.
const MOST_REGISTRIES: usize = 2;

fn few_registries(check: &mut Check<'_>) {
    let names: Vec<&str> = check
        .cluster
        .hosts_in(Role::Registry)
        .iter()
        .map(|host| host.name.as_str())
        .collect();
    if names.len() > MOST_REGISTRIES {
        check.error(
            path(Role::Registry),
            format!("{} hosts have the role registry", names.len()),
            format!(
                "two of {} can have it: nodes pull from one, and from the other while that one is down",
                names.join(", ")
            ),
        );
    }
}

/// A worker joins masters, and a balancer stands before them.
fn masters(check: &mut Check<'_>) {
    let cluster = check.cluster;
    if !check.sound(&["spec.roleGroups"]) || !cluster.spec.role_groups.master.is_empty() {
        return;
    }
    let ours = cluster
        .spec
        .control_plane_endpoint
        .external_load_balancer
        .is_ours();
    let worker = (Role::Worker, "workers, and no master that they can join");
    let balancer = (
        Role::LoadBalancer,
        "load balancers, and no master behind them",
    );
    let needy = [Some(worker), ours.then_some(balancer)];
    for (role, what) in needy.into_iter().flatten() {
        if !cluster.spec.role_groups.of(role).is_empty() {
            check.error(
                path(role),
                format!("there are {what}"),
                "name one, three or five hosts under roleGroups.master".to_owned(),
            );
        }
    }
}

fn etcd_members(check: &mut Check<'_>) {
    let groups = &check.cluster.spec.role_groups;
    let of = |role| -> BTreeSet<&str> {
        let patterns = groups.of(role).iter();
        patterns
            .flat_map(HostPattern::names)
            .map(String::as_str)
            .collect()
    };
    let (members, masters) = (of(Role::Etcd), of(Role::Master));
    if !check.sound(&["spec.etcd.type", "spec.roleGroups"]) {
        return;
    }
    match check.cluster.spec.etcd.kind {
        EtcdType::External if !members.is_empty() => check.warn(
            path(Role::Etcd),
            "etcd is external: the hosts of this role are not used for it".to_owned(),
            "remove the role, or set etcd.type to kubexm".to_owned(),
        ),
        EtcdType::External => {}
        EtcdType::Kubexm if members.is_empty() && !masters.is_empty() => check.error(
            path(Role::Etcd),
            "no host has the role etcd".to_owned(),
            "name one, three or five hosts".to_owned(),
        ),
        EtcdType::Kubexm => odd(check, Role::Etcd, "etcd members", members.len()),
        EtcdType::Kubeadm => {
            if let Some(unused) = members.difference(&masters).next() {
                check.warn(
                    path(Role::Etcd),
                    format!(
                        "kubeadm runs etcd on the masters alone, so there is none on '{unused}'"
                    ),
                    "remove the role, or set etcd.type to kubexm".to_owned(),
                );
            }
            odd(
                check,
                Role::Master,
                "masters, each a member of etcd,",
                masters.len(),
            );
        }
    }
}

/// A majority of an even number survives no more than one of the odd number below it.
fn odd(check: &mut Check<'_>, role: Role, what: &str, members: usize) {
    if members > 0 && members.is_multiple_of(2) {
        check.warn(
            path(role),
            format!(
                "{members} {what} survive no more failures than {}",
                members - 1
            ),
            "take an odd number".to_owned(),
        );
    }
}

fn idle(check: &mut Check<'_>) {
    let cluster = check.cluster;
    if !check.sound(&["spec.roleGroups"]) || !check.written("spec.roleGroups") {
        return;
    }
    for (at, host) in cluster.spec.hosts.iter().enumerate() {
        if !host.name.is_empty() && cluster.roles_of(&host.name).is_empty() {
            check.warn(
                KeyPath::of(HOSTS).index(at).key("name"),
                format!("'{}' has no role: nothing will run there", host.name),
                "name it in spec.roleGroups".to_owned(),
            );
        }
    }
}
