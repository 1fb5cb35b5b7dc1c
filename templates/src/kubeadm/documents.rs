//! The documents of kubeadm's configuration, as they are written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{KubeadmEndpoint, KubeadmEtcdTls, KubeadmNode, KubeadmVolume};

/// A map in the older form, a list in the newer.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Arguments<'a> {
    Map(&'a BTreeMap<String, String>),
    List(Vec<Argument<'a>>),
}

#[derive(Serialize)]
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InitConfiguration<'a> {
    #[serde(flatten)]
    pub(super) header: Header,
    #[serde(rename = "localAPIEndpoint")]
    pub(super) endpoint: &'a KubeadmEndpoint,
    pub(super) node_registration: NodeRegistration<'a>,
    pub(super) bootstrap_tokens: [BootstrapToken; 1],
}

/// The token that kubeadm makes by itself, short of its day: nobody asks for it, and it is revoked with the others.
#[derive(Serialize)]
pub(super) struct BootstrapToken {
    pub(super) description: &'static str,
    pub(super) ttl: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeRegistration<'a> {
    #[serde(flatten)]
    pub(super) node: &'a KubeadmNode,
    pub(super) kubelet_extra_args: Arguments<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterConfiguration<'a> {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) cluster_name: &'a str,
    pub(super) kubernetes_version: &'a str,
    pub(super) control_plane_endpoint: &'a str,
    pub(super) certificates_dir: &'static str,
    pub(super) image_repository: &'static str,
    pub(super) networking: Networking<'a>,
    pub(super) etcd: Etcd<'a>,
    #[serde(skip_serializing_if = "Image::is_default")]
    pub(super) dns: Image<'a>,
    pub(super) api_server: ApiServer<'a>,
    pub(super) controller_manager: Component<'a>,
    pub(super) scheduler: Component<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Networking<'a> {
    pub(super) pod_subnet: &'a str,
    pub(super) service_subnet: &'a str,
    pub(super) dns_domain: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_tag: Option<&'a str>,
}

impl Image<'_> {
    const fn is_default(&self) -> bool {
        self.image_tag.is_none()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Etcd<'a> {
    #[serde(rename_all = "camelCase")]
    Local {
        data_dir: &'a str,
        #[serde(flatten)]
        image: Image<'a>,
        extra_args: Arguments<'a>,
    },
    External {
        endpoints: &'a [String],
        #[serde(flatten)]
        tls: Option<KubeadmEtcdTls>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Component<'a> {
    pub(super) extra_args: Arguments<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) extra_volumes: &'a [KubeadmVolume],
}

#[derive(Serialize)]
pub(super) struct ApiServer<'a> {
    #[serde(rename = "certSANs")]
    pub(super) cert_sans: &'a [String],
    #[serde(flatten)]
    pub(super) component: Component<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KubeletConfiguration<'a> {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) cgroup_driver: &'static str,
    #[serde(rename = "clusterDNS")]
    pub(super) cluster_dns: &'a [String],
    pub(super) cluster_domain: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JoinConfiguration<'a> {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) discovery: Discovery<'a>,
    pub(super) node_registration: NodeRegistration<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) control_plane: Option<ControlPlane<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discovery<'a> {
    pub(super) bootstrap_token: TokenDiscovery<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenDiscovery<'a> {
    pub(super) api_server_endpoint: &'a str,
    pub(super) token: &'a str,
    pub(super) ca_cert_hashes: [&'a str; 1],
}

#[derive(Serialize)]
pub(super) struct ControlPlane<'a> {
    #[serde(rename = "localAPIEndpoint")]
    pub(super) endpoint: &'a KubeadmEndpoint,
}
