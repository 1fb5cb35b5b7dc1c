use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CidrPair, KnownAddon};

/// The networks of pods and services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Network {
    /// What each choice does on the nodes, and when to take it: docs/networks.md.
    pub plugin: NetworkPlugin,
    /// Settings for `plugin: calico`.
    pub calico: Calico,
    /// The pods' network. Every node needs an internal address of each of its families. With an IPv6 part, IPv6 forwarding
    /// is turned on.
    #[serde(rename = "kubePodsCIDR")]
    pub kube_pods_cidr: CidrPair,
    /// The services' network; its families must be among those of the pods. A `/28` or larger, since DNS has the 10th
    /// address; no larger than `/12`, or `/108` in IPv6.
    #[serde(rename = "kubeServiceCIDR")]
    pub kube_service_cidr: CidrPair,
    /// How the pods' network is divided.
    pub ippool: IpPool,
}

impl Default for Network {
    fn default() -> Self {
        let cidr = |text: &str| text.parse().unwrap_or_default();
        Self {
            plugin: NetworkPlugin::Calico,
            calico: Calico::default(),
            kube_pods_cidr: cidr("10.233.64.0/18"),
            kube_service_cidr: cidr("10.233.0.0/18"),
            ippool: IpPool::default(),
        }
    }
}

/// The controller manager keeps count of 2^16 shares of an IPv6 network, and of no more.
const MOST_BITS_V6: u8 = 16;
/// The share that everybody takes where it fits, and the one of a network too small for it.
const SHARE_V6: u8 = 64;
const SMALL_SHARE_V6: u8 = 120;

impl Network {
    /// The prefix of each node's share of the pods' IPv6 network.
    #[must_use]
    pub fn node_share_v6(&self) -> Option<u8> {
        let prefix = self.kube_pods_cidr.v6?.prefix_len();
        let most = prefix.saturating_add(MOST_BITS_V6);
        Some(if prefix < SHARE_V6 {
            SHARE_V6.min(most)
        } else {
            most.min(SMALL_SHARE_V6).max(prefix)
        })
    }
}

/// Which network plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkPlugin {
    /// With IP in IP, VXLAN or plain routes between nodes.
    #[default]
    Calico,
    /// With VXLAN between nodes.
    Flannel,
    /// By eBPF, with VXLAN between nodes. By its chart, whose values you may set: docs/networks.md#cilium.
    Cilium,
    /// By Open vSwitch, with Geneve between nodes. By its chart, likewise.
    #[serde(rename = "kube-ovn")]
    KubeOvn,
    /// Of the CNI plugins, with routes between nodes.
    Bridge,
    /// You install one yourself.
    None,
}

impl NetworkPlugin {
    /// Whether it forwards what its pods send to services by itself, past all rules of their node.
    #[must_use]
    pub const fn forwards_to_services(self) -> bool {
        match self {
            Self::Cilium | Self::KubeOvn => true,
            Self::Calico | Self::Flannel | Self::Bridge | Self::None => false,
        }
    }

    /// The addon that it comes as.
    #[must_use]
    pub const fn addon(self) -> Option<KnownAddon> {
        match self {
            Self::Cilium => Some(KnownAddon::Cilium),
            Self::KubeOvn => Some(KnownAddon::KubeOvn),
            Self::Calico | Self::Flannel | Self::Bridge | Self::None => None,
        }
    }

    /// The name in the config.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calico => "calico",
            Self::Flannel => "flannel",
            Self::Cilium => "cilium",
            Self::KubeOvn => "kube-ovn",
            Self::Bridge => "bridge",
            Self::None => "none",
        }
    }
}

impl fmt::Display for NetworkPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of Calico.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Calico {
    /// IP in IP for the IPv4 pool. Not together with `vxlanMode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`Always`, or `Never` with VXLAN"))]
    pub ipip_mode: Option<TunnelMode>,
    /// VXLAN for the IPv4 pool. Not together with `ipipMode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`Never`"))]
    pub vxlan_mode: Option<TunnelMode>,
    /// The MTU of the pods' interfaces; 0 detects it.
    #[serde(rename = "vethMTU")]
    #[schemars(extend("x-aliases" = ["vethMtu"]), range(max = 65_535))]
    pub veth_mtu: u32,
}

impl Calico {
    /// IP in IP, with the default filled in.
    #[must_use]
    pub fn ipip(&self) -> TunnelMode {
        let by_default = match self.vxlan() {
            TunnelMode::Never => TunnelMode::Always,
            TunnelMode::Always | TunnelMode::CrossSubnet => TunnelMode::Never,
        };
        self.ipip_mode.unwrap_or(by_default)
    }

    /// VXLAN, with the default filled in.
    #[must_use]
    pub fn vxlan(&self) -> TunnelMode {
        self.vxlan_mode.unwrap_or(TunnelMode::Never)
    }
}

/// When packets between nodes are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TunnelMode {
    /// Between all nodes.
    Always,
    /// Between nodes of different subnets.
    CrossSubnet,
    /// Between none.
    Never,
}

/// How the pods' network is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IpPool {
    /// The size of the blocks that nodes take from the pods' IPv4 network, 20 to 32. Calico alone.
    #[schemars(range(min = 20, max = 32))]
    pub block_size: u8,
}

impl Default for IpPool {
    fn default() -> Self {
        Self { block_size: 26 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_networks_are_there() {
        let network = Network::default();
        assert_eq!(network.kube_pods_cidr.to_string(), "10.233.64.0/18");
        assert_eq!(network.kube_service_cidr.to_string(), "10.233.0.0/18");
    }

    #[test]
    fn a_share_of_ipv6_can_be_counted() {
        for (prefix, share) in [
            (32, 48),
            (48, 64),
            (56, 64),
            (64, 80),
            (108, 120),
            (112, 120),
            (124, 124),
        ] {
            let network = Network {
                kube_pods_cidr: format!("fd00::/{prefix}").parse().unwrap(),
                ..Network::default()
            };
            assert_eq!(network.node_share_v6(), Some(share), "/{prefix}");
        }
        assert_eq!(Network::default().node_share_v6(), None);
    }

    #[test]
    fn vxlan_turns_the_default_of_ipip_off() {
        let calico = Calico {
            vxlan_mode: Some(TunnelMode::Always),
            ..Calico::default()
        };
        assert_eq!(
            (calico.ipip(), Calico::default().ipip()),
            (TunnelMode::Never, TunnelMode::Always)
        );
    }
}
