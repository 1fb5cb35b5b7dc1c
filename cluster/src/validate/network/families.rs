//! IPv4 and IPv6 of services, pods and nodes: each needs what the one before has.

use super::{PODS, SERVICES, nodes};
use crate::validate::Check;
use crate::{Host, KeyPath};

pub(super) fn check(check: &mut Check<'_>) {
    if !check.sound(&[PODS, SERVICES]) {
        return;
    }
    of_services(check);
    if check.sound(&["spec.hosts", "spec.roleGroups"]) {
        of_nodes(check);
    }
}

fn of_services(check: &mut Check<'_>) {
    let network = &check.cluster.spec.network;
    let (pods, services) = (network.kube_pods_cidr, network.kube_service_cidr);
    for (family, missing) in [
        ("IPv4", services.v4.is_some() && pods.v4.is_none()),
        ("IPv6", services.v6.is_some() && pods.v6.is_none()),
    ] {
        if missing {
            check.error(
                KeyPath::of(SERVICES),
                format!("the services have an {family} network, and the pods have none"),
                "add one to kubePodsCIDR, or remove it from kubeServiceCIDR".to_owned(),
            );
        }
    }
}

/// A component binds to an address of the node, and a route to a node's pods leads over one, both of the pods' family.
fn of_nodes(check: &mut Check<'_>) {
    let pods = check.cluster.spec.network.kube_pods_cidr;
    let lacking = |has: fn(&Host) -> bool| {
        // A host of which no address is known was told of already.
        let known = nodes(check)
            .into_iter()
            .filter(|node| !node.internal_ips().is_empty());
        known
            .filter(|node| !has(node))
            .map(|node| node.name.clone())
            .next()
    };
    let v4 = lacking(|node| node.internal_v4().is_some());
    let v6 = lacking(|node| node.internal_v6().is_some());
    for (family, other, asked, lacking) in [
        ("IPv4", "IPv6", pods.v4.is_some(), v4),
        ("IPv6", "IPv4", pods.v6.is_some(), v6),
    ] {
        if let Some(node) = lacking.filter(|_| asked) {
            check.error(
                KeyPath::of(PODS),
                format!(
                    "the pods have an {family} network, but the node '{node}' has no {family} address"
                ),
                format!(
                    "add one to its internalAddress, or give kubePodsCIDR and kubeServiceCIDR {other} networks alone"
                ),
            );
        }
    }
}
