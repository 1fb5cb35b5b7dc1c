mod families;
mod sizes;

use super::Check;
use crate::{Calico, Cidr, Host, KeyPath, Network, NetworkPlugin, Role, TunnelMode};

const PODS: &str = "spec.network.kubePodsCIDR";
const SERVICES: &str = "spec.network.kubeServiceCIDR";

pub(super) fn check(check: &mut Check<'_>) {
    overlaps(check);
    families::check(check);
    sizes::check(check);
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

/// The hosts that are nodes, each once.
fn nodes<'c>(check: &Check<'c>) -> Vec<&'c Host> {
    let cluster = check.cluster;
    let is_node = |host: &&Host| {
        let roles = cluster.roles_of(&host.name);
        roles.contains(&Role::Master) || roles.contains(&Role::Worker)
    };
    cluster.spec.hosts.iter().filter(is_node).collect()
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
