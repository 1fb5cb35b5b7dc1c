use super::Check;
use crate::{Calico, Cidr, KeyPath, Network, NetworkPlugin, Role, TunnelMode};

const PODS: &str = "spec.network.kubePodsCIDR";
const SERVICES: &str = "spec.network.kubeServiceCIDR";
const MASK: &str = "spec.kubernetes.nodeCidrMaskSize";
const MAX_PODS: &str = "spec.kubernetes.maxPods";
const BLOCK: &str = "spec.network.ippool.blockSize";

pub(super) fn check(check: &mut Check<'_>) {
    overlaps(check);
    families(check);
    shares(check);
    shares_v6(check);
    service_sizes(check);
    backend(check);
    tunnels(check);
}

fn overlaps(check: &mut Check<'_>) {
    let network = &check.cluster.spec.network;
    let pods: Vec<Cidr> = network.kube_pods_cidr.iter().collect();
    for services in network.kube_service_cidr.iter() {
        if check.sound(&[PODS, SERVICES])
            && let Some(pods) = pods.iter().find(|pods| pods.overlaps(services))
        {
            check.error(
                KeyPath::of(SERVICES),
                format!("the services' network {services} overlaps the pods' network {pods}"),
                "give them separate networks".to_owned(),
            );
        }
    }
    for (path, what, list) in [
        (PODS, "pods", network.kube_pods_cidr),
        (SERVICES, "services", network.kube_service_cidr),
    ] {
        if !check.sound(&[path]) {
            continue;
        }
        let inside = list.iter().find_map(|cidr| {
            let hosts = check.cluster.spec.hosts.iter();
            let mut ips = hosts.flat_map(|host| {
                host.internal_ips()
                    .into_iter()
                    .map(|ip| (host.name.as_str(), ip))
            });
            ips.find(|(_, ip)| cidr.net().contains(ip))
                .map(|(name, ip)| (cidr, name, ip))
        });
        if let Some((cidr, name, ip)) = inside {
            check.error(
                KeyPath::of(path),
                format!("the {what}' network {cidr} contains {ip}, the address of '{name}'"),
                "take a network that no host is in".to_owned(),
            );
        }
    }
}

fn families(check: &mut Check<'_>) {
    let network = &check.cluster.spec.network;
    let (pods, services) = (network.kube_pods_cidr, network.kube_service_cidr);
    let lacks = |family: &str| {
        (
            format!("the services have an {family} network, and the pods have none"),
            "add one to kubePodsCIDR, or remove it from kubeServiceCIDR".to_owned(),
        )
    };
    if !check.sound(&[PODS, SERVICES]) {
        return;
    }
    for (family, missing) in [
        ("IPv4", services.v4.is_some() && pods.v4.is_none()),
        ("IPv6", services.v6.is_some() && pods.v6.is_none()),
    ] {
        if missing {
            let (message, hint) = lacks(family);
            check.error(KeyPath::of(SERVICES), message, hint);
        }
    }
    let cluster = check.cluster;
    let mut nodes = cluster
        .hosts_in(Role::Master)
        .into_iter()
        .chain(cluster.hosts_in(Role::Worker));
    if pods.v6.is_some()
        && let Some(node) = nodes.find(|node| node.internal_v6().is_none())
    {
        check.warn(
            KeyPath::of(PODS),
            format!(
                "the pods have an IPv6 network, but '{}' has no IPv6 address",
                node.name
            ),
            "add one to its internalAddress".to_owned(),
        );
    }
}

/// Each node takes a share of the pods' IPv4 network.
fn shares(check: &mut Check<'_>) {
    let spec = &check.cluster.spec;
    let Some(pods) = spec
        .network
        .kube_pods_cidr
        .v4
        .filter(|_| check.sound(&[PODS]))
    else {
        return;
    };
    let (prefix, mask, block) = (
        pods.prefix_len(),
        spec.kubernetes.node_cidr_mask_size,
        spec.network.ippool.block_size,
    );
    let calico = spec.network.plugin == NetworkPlugin::Calico;
    if calico && block < prefix && check.sound(&[BLOCK]) {
        check.error(
            KeyPath::of(BLOCK),
            format!("a block of /{block} does not fit into the pods' network {pods}"),
            format!("take /{} or more", (prefix + 2).clamp(20, 32)),
        );
    }
    if !check.sound(&[MASK]) {
        return;
    }
    if mask < prefix {
        check.error(
            KeyPath::of(MASK),
            format!("a node's share of /{mask} does not fit into the pods' network {pods}"),
            format!("it must be larger than {prefix}"),
        );
        return;
    }
    if calico && block < mask && check.sound(&[BLOCK]) {
        check.warn(
            KeyPath::of(BLOCK),
            format!("a block of /{block} is more than a node's share of /{mask}"),
            format!("take /{mask} or more"),
        );
    }
    let nodes = nodes(check);
    let fit = 1usize
        .checked_shl(u32::from(mask - prefix))
        .unwrap_or(usize::MAX);
    if nodes > fit {
        check.error(
            KeyPath::of(MASK),
            format!("{fit} nodes fit into {pods} with /{mask} each, and there are {nodes}"),
            "take a larger pods' network, or smaller shares".to_owned(),
        );
    }
    // The network's own address and the broadcast address are nobody's.
    let room = (1u64 << (32 - u32::from(mask))).saturating_sub(2);
    let most = u64::from(spec.kubernetes.max_pods);
    if most > room && check.sound(&[MAX_PODS]) {
        check.error(
            KeyPath::of(MAX_PODS),
            format!(
                "{most} pods do not fit into a node's share of /{mask}, which has {room} addresses"
            ),
            "lower maxPods or nodeCidrMaskSize".to_owned(),
        );
    }
}

/// The shares of the pods' IPv6 network, which no key chooses.
fn shares_v6(check: &mut Check<'_>) {
    let spec = &check.cluster.spec;
    let network = &spec.network;
    let (Some(pods), Some(share)) = (network.kube_pods_cidr.v6, network.node_share_v6()) else {
        return;
    };
    if !check.sound(&[PODS]) {
        return;
    }
    let nodes = nodes(check);
    let fit = 1u128 << (share - pods.prefix_len());
    if nodes as u128 > fit {
        check.error(
            KeyPath::of(PODS),
            format!("{fit} nodes fit into {pods} with /{share} each, and there are {nodes}"),
            "take a larger IPv6 network: a /112 holds 256 nodes".to_owned(),
        );
    }
    let room = 1u128.checked_shl(128 - u32::from(share));
    let room = room.map_or(u128::MAX, |room| room.saturating_sub(2));
    let most = u128::from(spec.kubernetes.max_pods);
    if most > room && check.sound(&[MAX_PODS]) {
        check.error(
            KeyPath::of(MAX_PODS),
            format!(
                "{most} pods do not fit into a node's share of /{share} of {pods}, which has {room} addresses"
            ),
            "lower maxPods, or take a larger IPv6 network for the pods".to_owned(),
        );
    }
}

/// The apiserver hands out addresses of services from a bitmap in etcd, and takes no more than 2^20.
const MOST_SERVICE_BITS: u8 = 20;

fn service_sizes(check: &mut Check<'_>) {
    if !check.sound(&[SERVICES]) {
        return;
    }
    for services in check.cluster.spec.network.kube_service_cidr.iter() {
        let net = services.net();
        let least = net.max_prefix_len() - MOST_SERVICE_BITS;
        if net.prefix_len() < least {
            check.error(
                KeyPath::of(SERVICES),
                format!("the services' network {services} is larger than the apiserver takes"),
                format!("take a /{least} or smaller"),
            );
        }
    }
}

/// What a plugin can do with the networks.
fn backend(check: &mut Check<'_>) {
    let network = &check.cluster.spec.network;
    if network.plugin == NetworkPlugin::Calico
        && check.sound(&[PODS])
        && let Some(pods) = network.kube_pods_cidr.v6
        && pods.prefix_len() > CALICO_BLOCK_V6
    {
        check.error(
            KeyPath::of(PODS),
            format!("Calico's blocks of /{CALICO_BLOCK_V6} do not fit into {pods}"),
            "take a /112 or larger".to_owned(),
        );
    }
}

/// The size of Calico's blocks of an IPv6 pool.
const CALICO_BLOCK_V6: u8 = 122;

fn nodes(check: &Check<'_>) -> usize {
    let hosts = check.cluster.spec.hosts.iter();
    let on_node = |name: &str| {
        let roles = check.cluster.roles_of(name);
        roles.contains(&Role::Master) || roles.contains(&Role::Worker)
    };
    hosts.filter(|host| on_node(&host.name)).count()
}

fn tunnels(check: &mut Check<'_>) {
    let network: &Network = &check.cluster.spec.network;
    let calico = KeyPath::of("spec.network.calico");
    if network.plugin != NetworkPlugin::Calico {
        // Defaults that were written out ask for nothing.
        if network.calico != Calico::default() && check.sound(&["spec.network.plugin"]) {
            check.warn(
                calico,
                "these settings are for plugin: calico".to_owned(),
                None,
            );
        }
        return;
    }
    if network.calico.ipip() != TunnelMode::Never && network.calico.vxlan() != TunnelMode::Never {
        check.error(
            calico.key("vxlanMode"),
            "ipipMode and vxlanMode are both on".to_owned(),
            "set one of them to Never".to_owned(),
        );
    }
}
