//! Where programs listen: on one host, no port may be that of two.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Check;
use crate::{EtcdType, Host, InternalLoadBalancer, KeyPath, Role};

const ENDPOINT: &str = "spec.controlPlaneEndpoint.port";
const REGISTRY: &str = "spec.registry.port";
const READ_ONLY: &str = "spec.registry.readOnlyPort";
const REGISTRY_DOMAIN: &str = "spec.registry.privateRegistry";
const RANGE_ARGUMENT: &str = "service-node-port-range";

/// The apiserver's own range for services of the type `NodePort`.
const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

const ETCD: &[(u16, &str)] = &[
    (2379, "etcd for its clients"),
    (2380, "etcd for its peers"),
    (2381, "etcd for its metrics"),
];
const NODE: &[(u16, &str)] = &[
    (10_248, "the kubelet for its health"),
    (10_249, "kube-proxy for its metrics"),
    (10_250, "the kubelet"),
    (10_256, "kube-proxy for its health"),
];
const MASTER: &[(u16, &str)] = &[
    (10_257, "the controller manager"),
    (10_259, "the scheduler"),
];
const BALANCER: &[(u16, &str)] = &[(10_242, "the load balancer for its health")];

/// What the config chooses, and what listens there.
struct Chosen {
    port: u16,
    what: &'static str,
    key: &'static str,
}

pub(super) fn check(check: &mut Check<'_>) {
    if !check.sound(&[
        ENDPOINT,
        REGISTRY,
        REGISTRY_DOMAIN,
        "spec.roleGroups",
        "spec.etcd.type",
    ]) {
        return;
    }
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    for host in &check.cluster.spec.hosts {
        let roles = check.cluster.roles_of(&host.name);
        let chosen = chosen(check, &roles);
        let fixed = fixed(check, &roles);
        for (at, one) in chosen.iter().enumerate() {
            let others = fixed
                .iter()
                .copied()
                .chain(chosen[..at].iter().map(|other| (other.port, other.what)));
            let clash = others.into_iter().find(|(port, _)| *port == one.port);
            if let Some((_, other)) = clash
                && told.insert((one.key, other))
            {
                taken(check, host, one, &format!("{other} listens there, too"));
            }
            let range = node_ports(check);
            if is_node(&roles) && range.contains(&one.port) && told.insert((one.key, "")) {
                let (first, last) = range.into_inner();
                let why = format!("services of the type NodePort have {first} to {last}");
                taken(check, host, one, &why);
            }
        }
    }
}

fn taken(check: &mut Check<'_>, host: &Host, one: &Chosen, why: &str) {
    check.error(
        KeyPath::of(one.key),
        format!(
            "{} cannot have port {} on '{}': {why}",
            one.what, one.port, host.name
        ),
        "take another port, or another host".to_owned(),
    );
}

fn is_node(roles: &BTreeSet<Role>) -> bool {
    roles.contains(&Role::Master) || roles.contains(&Role::Worker)
}

/// A master that is a load balancer, too, is refused for more than its port.
fn chosen(check: &Check<'_>, roles: &BTreeSet<Role>) -> Vec<Chosen> {
    let cluster = check.cluster;
    let endpoint = &cluster.spec.control_plane_endpoint;
    let what = if roles.contains(&Role::Master) {
        Some("the apiserver")
    } else if balances(check, roles) {
        Some("the load balancer")
    } else {
        None
    };
    let of_endpoint = what.map(|what| Chosen {
        port: endpoint.port,
        what,
        key: ENDPOINT,
    });
    let in_domain = cluster.spec.registry.private_registry.contains(':');
    let of_registry = roles.contains(&Role::Registry).then(|| Chosen {
        port: cluster.registry_port(),
        what: "the registry",
        key: if in_domain { REGISTRY_DOMAIN } else { REGISTRY },
    });
    let read_only = cluster.spec.registry.read_only_port.map(|port| Chosen {
        port,
        what: "the registry for nodes",
        key: READ_ONLY,
    });
    let read_only = read_only.filter(|_| roles.contains(&Role::Registry));
    let of_registry = of_registry.into_iter().chain(read_only);
    of_endpoint.into_iter().chain(of_registry).collect()
}

fn balances(check: &Check<'_>, roles: &BTreeSet<Role>) -> bool {
    let endpoint = &check.cluster.spec.control_plane_endpoint;
    let pods = matches!(
        endpoint.internal_load_balancer,
        InternalLoadBalancer::Haproxy | InternalLoadBalancer::Nginx
    );
    let on_worker = pods && roles.contains(&Role::Worker) && !roles.contains(&Role::Master);
    let own = endpoint.external_load_balancer.is_ours() && roles.contains(&Role::LoadBalancer);
    on_worker || own
}

fn fixed(check: &Check<'_>, roles: &BTreeSet<Role>) -> Vec<(u16, &'static str)> {
    let etcd = match check.cluster.spec.etcd.kind {
        EtcdType::Kubexm => roles.contains(&Role::Etcd),
        EtcdType::Kubeadm => roles.contains(&Role::Master),
        EtcdType::External => false,
    };
    let groups = [
        (etcd, ETCD),
        (is_node(roles), NODE),
        (roles.contains(&Role::Master), MASTER),
        (balances(check, roles), BALANCER),
    ];
    groups
        .into_iter()
        .filter(|(there, _)| *there)
        .flat_map(|(_, ports)| ports.iter().copied())
        .collect()
}

/// The range that the config gives the apiserver, or its own.
fn node_ports(check: &Check<'_>) -> RangeInclusive<u16> {
    let arguments = &check.cluster.spec.kubernetes.api_server.extra_args;
    let asked = arguments.get(RANGE_ARGUMENT).and_then(|text| {
        let (first, last) = text.split_once('-')?;
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    });
    asked.unwrap_or(NODE_PORTS)
}
