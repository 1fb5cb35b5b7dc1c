use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::IpPair;

/// How the apiservers are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlPlaneEndpoint {
    /// A load balancer outside of the nodes.
    pub external_load_balancer: ExternalLoadBalancer,
    /// A load balancer on the nodes themselves. Not together with an external one. Needed where there are several masters,
    /// no external one and no `externalDNS`.
    #[serde(rename = "internalLoadbalancer")]
    #[schemars(extend("x-aliases" = ["internalLoadBalancer"]))]
    pub internal_load_balancer: InternalLoadBalancer,
    /// The domain is resolved by a DNS of your own; `lb_address` must then be empty.
    #[serde(rename = "externalDNS")]
    pub external_dns: bool,
    /// The name of the control plane.
    #[schemars(extend("format" = "dns-name"))]
    pub domain: String,
    /// The virtual address of an external load balancer or of kube-vip; of no machine.
    #[serde(rename = "lb_address")]
    #[schemars(extend("x-aliases" = ["address", "lbAddress"]))]
    pub lb_address: IpPair,
    /// The port of the control plane, in front of the apiservers and of each of them.
    #[schemars(range(min = 1))]
    pub port: u16,
}

impl Default for ControlPlaneEndpoint {
    fn default() -> Self {
        Self {
            external_load_balancer: ExternalLoadBalancer::None,
            internal_load_balancer: InternalLoadBalancer::None,
            external_dns: false,
            domain: "lb.kubexm.local".to_owned(),
            lb_address: IpPair::default(),
            port: 6443,
        }
    }
}

/// The load balancer outside the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalLoadBalancer {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    None,
    /// Keepalived with haproxy, on the hosts of the role `loadbalancer`.
    #[serde(rename = "kubexm")]
    Kubexm,
    /// The same.
    #[serde(rename = "kubexm-kh")]
    KubexmHaproxy,
    /// The same with nginx.
    #[serde(rename = "kubexm-kn")]
    KubexmNginx,
    /// One that exists already.
    #[serde(rename = "external")]
    External,
}

impl ExternalLoadBalancer {
    /// Whether kubexm sets it up, on hosts of the role `loadbalancer`.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Kubexm | Self::KubexmHaproxy | Self::KubexmNginx)
    }
}

/// The load balancer on the nodes themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InternalLoadBalancer {
    /// There is none.
    #[default]
    #[serde(rename = "")]
    None,
    /// A haproxy pod on each worker.
    #[serde(rename = "haproxy")]
    Haproxy,
    /// An nginx pod on each worker.
    #[serde(rename = "nginx")]
    Nginx,
    /// On the masters, with the virtual address `lb_address`.
    #[serde(rename = "kube-vip")]
    KubeVip,
}
