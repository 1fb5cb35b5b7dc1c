use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Template, TemplateError, yaml};

/// `KubeProxyConfiguration`, with the config's own settings laid over it.
#[derive(Clone, Debug)]
pub struct KubeProxy {
    /// Where it finds the apiservers. None: where kubeadm has put it.
    pub kubeconfig: Option<String>,
    /// The node's name, as its kubelet has it. None: a flag tells it.
    pub hostname_override: Option<String>,
    pub mode: KubeProxyMode,
    /// The pods' networks.
    pub cluster_cidr: String,
    pub feature_gates: BTreeMap<String, bool>,
    pub settings: Map<String, Value>,
}

/// How it forwards, with what only that way of forwarding knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeProxyMode {
    Iptables {
        masquerade_all: bool,
    },
    /// `strict_arp`: the node answers ARP for none of the services' addresses, as kube-vip needs it.
    Ipvs {
        masquerade_all: bool,
        strict_arp: bool,
    },
    Nftables {
        masquerade_all: bool,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_connection: Option<ClientConnection<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname_override: Option<&'a str>,
    #[serde(rename = "clusterCIDR")]
    cluster_cidr: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    feature_gates: &'a BTreeMap<String, bool>,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iptables: Option<Masquerade>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipvs: Option<Ipvs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nftables: Option<Masquerade>,
}

#[derive(Serialize)]
struct ClientConnection<'a> {
    kubeconfig: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Masquerade {
    masquerade_all: bool,
}

#[derive(Serialize)]
struct Ipvs {
    #[serde(rename = "strictARP")]
    strict_arp: bool,
}

impl Template for KubeProxy {
    fn render(&self) -> Result<String, TemplateError> {
        let masquerade = |masquerade_all| Some(Masquerade { masquerade_all });
        // In the mode ipvs, too, it is iptables that masquerades.
        let (mode, iptables, ipvs, nftables) = match self.mode {
            KubeProxyMode::Iptables { masquerade_all } => {
                ("iptables", masquerade(masquerade_all), None, None)
            }
            KubeProxyMode::Ipvs {
                masquerade_all,
                strict_arp,
            } => {
                let ipvs = Some(Ipvs { strict_arp });
                ("ipvs", masquerade(masquerade_all), ipvs, None)
            }
            KubeProxyMode::Nftables { masquerade_all } => {
                ("nftables", None, None, masquerade(masquerade_all))
            }
        };
        let kubeconfig = self.kubeconfig.as_deref();
        let document = Document {
            api_version: "kubeproxy.config.k8s.io/v1alpha1",
            kind: "KubeProxyConfiguration",
            client_connection: kubeconfig.map(|kubeconfig| ClientConnection { kubeconfig }),
            hostname_override: self.hostname_override.as_deref(),
            cluster_cidr: &self.cluster_cidr,
            feature_gates: &self.feature_gates,
            mode,
            iptables,
            ipvs,
            nftables,
        };
        yaml::document_with("kube-proxy.yaml", &document, &self.settings)
    }
}
