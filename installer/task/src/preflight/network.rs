//! What the network of the pods asks of a node.

use std::net::IpAddr;

use cluster::{Host, NetworkPlugin, TunnelMode};
use step::{Neighbour, Requirements};

use crate::Site;
use crate::facts::{
    BGP_PORT, BPF_DIRECTORY, CALICO_VXLAN_PORT, CILIUM_VXLAN_PORT, FLANNEL_VXLAN_PORT, IPIP_MODULE,
    ROUTE_PROGRAMS, VXLAN_MODULE,
};

pub(super) fn of_network(site: &Site, host: &Host, wanted: &mut Requirements) {
    let network = &site.cluster.spec.network;
    match network.plugin {
        NetworkPlugin::Bridge => {
            wanted.programs.extend_from_slice(ROUTE_PROGRAMS);
            wanted.neighbours = neighbours(site, host);
        }
        NetworkPlugin::Calico => {
            wanted.directories.push(BPF_DIRECTORY);
            if network.calico.vxlan() == TunnelMode::Never {
                wanted.ports.push(BGP_PORT);
            } else {
                wanted.datagram_ports.push(CALICO_VXLAN_PORT);
                wanted.modules.push(VXLAN_MODULE);
            }
            // It wraps IPv4 alone.
            if network.calico.ipip() != TunnelMode::Never && network.kube_pods_cidr.v4.is_some() {
                wanted.modules.push(IPIP_MODULE);
            }
        }
        NetworkPlugin::Flannel => {
            wanted.datagram_ports.push(FLANNEL_VXLAN_PORT);
            wanted.modules.push(VXLAN_MODULE);
        }
        NetworkPlugin::Cilium => {
            wanted.directories.push(BPF_DIRECTORY);
            wanted.datagram_ports.push(CILIUM_VXLAN_PORT);
            wanted.modules.push(VXLAN_MODULE);
        }
        NetworkPlugin::None => {}
    }
}

/// The other nodes, at their addresses of the families that pods have.
fn neighbours(site: &Site, host: &Host) -> Vec<Neighbour> {
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let routed = |address: &IpAddr| match address {
        IpAddr::V4(_) => pods.v4.is_some(),
        IpAddr::V6(_) => pods.v6.is_some(),
    };
    let others = site.runtime_hosts().into_iter();
    others
        .filter(|other| other.name != host.name)
        .flat_map(|other| {
            let addresses = other.internal_ips().into_iter().filter(routed);
            addresses.map(|address| Neighbour {
                name: other.name.clone(),
                address,
            })
        })
        .collect()
}
