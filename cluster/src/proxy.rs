use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Cidr;

/// How kube-proxy forwards to services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// Deprecated from Kubernetes 1.35 on.
    Ipvs,
    /// With any version.
    Iptables,
    /// From Kubernetes 1.31 and Linux 5.13 on.
    Nftables,
}

impl ProxyMode {
    /// The name that kube-proxy itself takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipvs => "ipvs",
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
        }
    }
}

/// Settings of kube-proxy, in its own configuration format; any key of that format may stand here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeProxyConfiguration {
    /// Settings for the mode `ipvs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipvs: Option<KubeProxyIpvs>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Settings of kube-proxy for the mode `ipvs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KubeProxyIpvs {
    /// Networks whose IPVS rules are left alone. With kube-vip and ipvs, the nodes' network must be one of them.
    #[serde(rename = "excludeCIDRs", skip_serializing_if = "Vec::is_empty")]
    pub exclude_cidrs: Vec<Cidr>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
