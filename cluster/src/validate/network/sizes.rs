//! How the networks are divided, and whether everybody gets what they need of them.

use super::{PODS, SERVICES, nodes};
use crate::validate::Check;
use crate::{KeyPath, KubernetesType, NetworkPlugin};

const MASK: &str = "spec.kubernetes.nodeCidrMaskSize";
const MAX_PODS: &str = "spec.kubernetes.maxPods";
const BLOCK: &str = "spec.network.ippool.blockSize";

pub(super) fn check(check: &mut Check<'_>) {
    shares(check);
    shares_v6(check);
    service_sizes(check);
}

/// kubeadm's `PodSubnetNodeMaskMaxDiff`.
const MOST_SHARE_BITS: u8 = 16;

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
    if spec.kubernetes.kind == KubernetesType::Kubeadm && mask - prefix > MOST_SHARE_BITS {
        check.error(
            KeyPath::of(MASK),
            format!(
                "kubeadm refuses shares of /{mask} of {pods}: it counts no more than 2^{MOST_SHARE_BITS} of them"
            ),
            format!(
                "take {} or less, or a smaller network for the pods",
                prefix + MOST_SHARE_BITS
            ),
        );
    }
    if calico && block < mask && check.sound(&[BLOCK]) {
        check.warn(
            KeyPath::of(BLOCK),
            format!("a block of /{block} is more than a node's share of /{mask}"),
            format!("take /{mask} or more"),
        );
    }
    let nodes = nodes(check).len();
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
    let nodes = nodes(check).len();
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

/// DNS has the 10th address, and the services of the apiservers, of DNS and of everybody need some.
const LEAST_SERVICE_BITS: u8 = 4;

fn service_sizes(check: &mut Check<'_>) {
    if !check.sound(&[SERVICES]) {
        return;
    }
    for services in check.cluster.spec.network.kube_service_cidr.iter() {
        let net = services.net();
        let least = net.max_prefix_len() - MOST_SERVICE_BITS;
        let most = net.max_prefix_len() - LEAST_SERVICE_BITS;
        if net.prefix_len() > most {
            check.error(
                KeyPath::of(SERVICES),
                format!("the services' network {services} has fewer than 16 addresses, and DNS takes the 10th"),
                format!("take a /{most} or larger, such as a /{}", most - 4),
            );
        }
        if net.prefix_len() < least {
            check.error(
                KeyPath::of(SERVICES),
                format!("the services' network {services} is larger than the apiserver takes"),
                format!("take a /{least} or smaller"),
            );
        }
    }
}
