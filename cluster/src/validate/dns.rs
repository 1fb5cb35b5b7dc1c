use super::Check;
use crate::{KeyPath, NodeLocalDns};

const NODE_LOCAL: &str = "spec.dns.nodelocaldns";
const SERVICES: &str = "spec.network.kubeServiceCIDR";

pub(super) fn check(check: &mut Check<'_>) {
    let cluster = check.cluster;
    let node_local = &cluster.spec.dns.nodelocaldns;
    let path = KeyPath::of(NODE_LOCAL);
    if !node_local.runs() {
        if !node_local.external_zones.is_empty() {
            check.warn(
                path.key("externalZones"),
                "nobody answers for these zones: nodelocaldns is not enabled".to_owned(),
                "name them under spec.dns.coredns.externalZones".to_owned(),
            );
        }
        return;
    }
    if cluster.spec.network.kube_service_cidr.v4.is_none() && check.sound(&[SERVICES]) {
        let address = NodeLocalDns::ADDRESS;
        check.error(
            path,
            format!("nodelocaldns answers at {address}, and pods here have no IPv4 address"),
            "leave it out: pods ask coredns".to_owned(),
        );
    }
}
