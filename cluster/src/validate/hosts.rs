use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Check;
use crate::{Host, KeyPath, RuntimeType};

const HOSTS: &str = "spec.hosts";

pub(super) fn check(check: &mut Check<'_>) {
    runtime_classes(check);
    names(check);
    addresses(check);
    internal_addresses(check);
    for (at, host) in check.cluster.spec.hosts.iter().enumerate() {
        login(check, at, host);
    }
}

fn path(at: usize, key: &str) -> KeyPath {
    KeyPath::of(HOSTS).index(at).key(key)
}

fn names(check: &mut Check<'_>) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, host) in check
        .cluster
        .spec
        .hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| !host.name.is_empty())
    {
        if let Some(earlier) = first.get(host.name.as_str()) {
            let line = check.line(&path(*earlier, "name"));
            check.error(
                path(at, "name"),
                format!("two hosts are called '{}'", host.name),
                format!("the first is hosts[{earlier}]{line}; give each its own name"),
            );
            continue;
        }
        first.insert(&host.name, at);
    }
}

/// The same address may stand twice with different ports: so it is behind a NAT.
fn addresses(check: &mut Check<'_>) {
    let mut first: BTreeMap<(&str, u16), (usize, &str)> = BTreeMap::new();
    for (at, host) in check
        .cluster
        .spec
        .hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| !host.address.is_empty())
    {
        let key = (host.address.as_str(), host.port);
        if let Some((earlier, name)) = first.get(&key) {
            let line = check.line(&path(*earlier, "address"));
            check.error(
                path(at, "address"),
                format!(
                    "the address {} of '{}' is already that of '{name}'{line}",
                    host.address, host.name
                ),
                "each host needs an address, or a port, of its own".to_owned(),
            );
        } else {
            first.insert(key, (at, &host.name));
        }
    }
}

fn internal_addresses(check: &mut Check<'_>) {
    let mut first: BTreeMap<IpAddr, (usize, &str)> = BTreeMap::new();
    for (at, host) in check.cluster.spec.hosts.iter().enumerate() {
        if check.places.is_broken(&path(at, "internalAddress")) {
            continue;
        }
        let written = !host.internal_address.is_empty();
        let key = if written {
            "internalAddress"
        } else {
            "address"
        };
        let ips = host.internal_ips();
        if ips.is_empty()
            && !host.address.is_empty()
            && !check.places.is_broken(&path(at, "address"))
        {
            check.error(
                path(at, "address"),
                format!(
                    "'{}' is reached by a name, so its address in the cluster is unknown",
                    host.name
                ),
                "add internalAddress, e.g. internalAddress: \"172.16.0.2\"".to_owned(),
            );
        }
        for ip in ips {
            if let Some((earlier, name)) = first.get(&ip) {
                // Two equal `address`es were told already.
                if !written && host.address == check.cluster.spec.hosts[*earlier].address {
                    continue;
                }
                let line = check.line(&path(*earlier, key));
                check.error(
                    path(at, key),
                    format!(
                        "the internal address {ip} of '{}' is already that of '{name}'{line}",
                        host.name
                    ),
                    "each host needs internal addresses of its own".to_owned(),
                );
            } else {
                first.insert(ip, (at, &host.name));
            }
        }
    }
}

fn login(check: &mut Check<'_>, at: usize, host: &Host) {
    if host.private_key.is_some() && host.private_key_path.is_some() {
        check.error(
            path(at, "privateKeyPath"),
            format!("'{}' has both privateKey and privateKeyPath", host.name),
            "keep one of them".to_owned(),
        );
    }
    if host.passphrase.is_some() && host.private_key.is_none() && host.private_key_path.is_none() {
        check.warn(
            path(at, "passphrase"),
            format!(
                "'{}' has a passphrase, but no private key that it opens",
                host.name
            ),
            "add privateKeyPath, or remove the passphrase".to_owned(),
        );
    }
}

/// Each names what its node has.
fn runtime_classes(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let runtime = cluster.spec.kubernetes.container_runtime.kind;
    if !check.sound(&["spec.hosts", "spec.roleGroups", "spec.kubernetes"]) {
        return;
    }
    for (at, host) in cluster.spec.hosts.iter().enumerate() {
        let Some(class) = host.runtime_classes.first() else {
            continue;
        };
        let here = KeyPath::of("spec.hosts").index(at).key("runtimeClasses");
        if !cluster.is_node(host) {
            check.error(
                here,
                format!(
                    "'{}' is no node, so no pod can ask for {}",
                    host.name,
                    class.name()
                ),
                "remove it, or make the host a worker".to_owned(),
            );
        } else if runtime == RuntimeType::Docker {
            check.error(
                here,
                "nodes with docker know no runtime classes".to_owned(),
                "take containerd or cri-o, or remove it".to_owned(),
            );
        }
    }
}
