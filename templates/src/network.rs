use std::net::IpAddr;

use serde::Serialize;

use crate::template;

/// A CNI network of the plugins `bridge`, `host-local` and `portmap`.
#[derive(Clone, Debug, Serialize)]
pub struct CniBridge {
    pub name: String,
    pub bridge: String,
    pub mtu: u32,
    /// The node's own share of the pods' networks.
    pub networks: Vec<String>,
    /// `0.0.0.0/0`, `::/0`: a pod's way out, by family.
    pub default_routes: Vec<&'static str>,
}
template!(CniBridge, "cni-bridge.conflist.j2");

/// The script that keeps a node's routes to the pods of other nodes.
#[derive(Clone, Debug, Serialize)]
pub struct PodRoutes {
    pub families: Vec<PodFamily>,
}
template!(PodRoutes, "pod-routes.sh.j2");

/// What is routed of one family of addresses.
#[derive(Clone, Debug, Serialize)]
pub struct PodFamily {
    /// `-4` or `-6`.
    pub flag: &'static str,
    /// `iptables` or `ip6tables`.
    pub iptables: &'static str,
    /// The network of all pods.
    pub pods: String,
    pub routes: Vec<PodRoute>,
}

/// The pods of another node, and its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodRoute {
    pub network: String,
    pub via: IpAddr,
}

/// The unit that runs [`PodRoutes`].
#[derive(Clone, Debug, Serialize)]
pub struct PodRoutesUnit {
    pub script: String,
}
template!(PodRoutesUnit, "pod-routes.service.j2");

/// A drop-in for systemd-networkd, which removes other people's routes when it is restarted.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkdRoutes {}
template!(NetworkdRoutes, "networkd.conf.j2");

/// `/etc/calico/calicoctl.cfg`.
#[derive(Clone, Debug, Serialize)]
pub struct CalicoctlConfig {
    pub kubeconfig: String,
}
template!(CalicoctlConfig, "calicoctl.cfg.j2");
