//! What kubeadm is told, in the two forms of its configuration: `v1beta3` until Kubernetes 1.30, `v1beta4` since 1.31.

mod documents;
mod upgrade;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use self::documents::{
    ApiServer, Argument, Arguments, BootstrapToken, ClusterConfiguration, Component, ControlPlane,
    Discovery, Etcd, Header, Image, InitConfiguration, JoinConfiguration, KubeletConfiguration,
    Networking, NodeRegistration, TokenDiscovery,
};
use crate::{KubeProxy, NodeTaint, Template, TemplateError, yaml};

pub use upgrade::KubeadmUpgradeConfig;

/// The form of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeadmForm {
    V1Beta3,
    V1Beta4,
}

impl KubeadmForm {
    const fn api_version(self) -> &'static str {
        match self {
            Self::V1Beta3 => "kubeadm.k8s.io/v1beta3",
            Self::V1Beta4 => "kubeadm.k8s.io/v1beta4",
        }
    }

    fn arguments(self, arguments: &BTreeMap<String, String>) -> Arguments<'_> {
        match self {
            Self::V1Beta3 => Arguments::Map(arguments),
            Self::V1Beta4 => {
                let arguments = arguments.iter();
                Arguments::List(
                    arguments
                        .map(|(name, value)| Argument { name, value })
                        .collect(),
                )
            }
        }
    }
}

/// `/etc/kubernetes/kubeadm.yaml`: what a master is, and the cluster as all masters have it.
#[derive(Clone, Debug)]
pub struct Kubeadm {
    pub form: KubeadmForm,
    pub node: KubeadmNode,
    pub endpoint: KubeadmEndpoint,
    pub cluster: KubeadmCluster,
    pub kube_proxy: KubeProxy,
    pub kubelet: KubeadmKubelet,
}

/// How a node comes into the cluster: by a token, and only into the one whose authority it knows.
#[derive(Clone)]
pub struct KubeadmJoin {
    pub form: KubeadmForm,
    pub node: KubeadmNode,
    /// Where its own apiserver shall be found; none for a worker.
    pub endpoint: Option<KubeadmEndpoint>,
    /// `address:port` of an apiserver that runs.
    pub apiserver: String,
    pub token: String,
    /// `sha256:...` of the authority's public key.
    pub ca_hash: String,
}

/// A node as it registers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeadmNode {
    pub name: String,
    pub cri_socket: String,
    /// None: those that go with what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taints: Option<Vec<NodeTaint>>,
    #[serde(skip)]
    pub kubelet_args: BTreeMap<String, String>,
    pub ignore_preflight_errors: Vec<String>,
}

/// Where an apiserver is found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeadmEndpoint {
    pub advertise_address: String,
    pub bind_port: u16,
}

/// The cluster, the same on all masters.
#[derive(Clone, Debug)]
pub struct KubeadmCluster {
    pub name: String,
    /// `v1.34.2`
    pub version: String,
    /// `name:port` of the control plane.
    pub endpoint: String,
    pub cert_sans: Vec<String>,
    pub pod_subnet: String,
    pub service_subnet: String,
    pub dns_domain: String,
    pub etcd: KubeadmEtcd,
    /// The tag of the coredns image that the site has.
    pub dns_image_tag: Option<String>,
    pub api_server: KubeadmComponent,
    pub controller_manager: KubeadmComponent,
    pub scheduler: KubeadmComponent,
}

/// A component of the control plane.
#[derive(Clone, Debug, Default)]
pub struct KubeadmComponent {
    pub arguments: BTreeMap<String, String>,
    pub volumes: Vec<KubeadmVolume>,
}

/// Something of the host that a component's pod gets to see.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeadmVolume {
    pub name: String,
    pub host_path: String,
    pub mount_path: String,
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_type: Option<&'static str>,
}

/// The cluster's store.
#[derive(Clone, Debug)]
pub enum KubeadmEtcd {
    /// kubeadm runs a member on each master.
    Local {
        data_dir: String,
        image_tag: Option<String>,
        arguments: BTreeMap<String, String>,
    },
    /// It is there already.
    External {
        endpoints: Vec<String>,
        tls: Option<KubeadmEtcdTls>,
    },
}

/// The files with which an apiserver talks to etcd.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeadmEtcdTls {
    pub ca_file: String,
    #[serde(flatten)]
    pub client: Option<KubeadmEtcdClient>,
}

/// What it shows to etcd, where etcd asks for it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeadmEtcdClient {
    pub cert_file: String,
    pub key_file: String,
}

/// `KubeletConfiguration` as far as kubeadm looks into it: each kubelet reads a file of its own.
#[derive(Clone, Debug)]
pub struct KubeadmKubelet {
    pub cluster_dns: Vec<String>,
    pub cluster_domain: String,
    pub settings: Map<String, Value>,
}

fn registration(form: KubeadmForm, node: &KubeadmNode) -> NodeRegistration<'_> {
    NodeRegistration {
        node,
        kubelet_extra_args: form.arguments(&node.kubelet_args),
    }
}

fn component(form: KubeadmForm, component: &KubeadmComponent) -> Component<'_> {
    Component {
        extra_args: form.arguments(&component.arguments),
        extra_volumes: &component.volumes,
    }
}

impl Kubeadm {
    fn header(&self, kind: &'static str) -> Header {
        Header {
            api_version: self.form.api_version(),
            kind,
        }
    }

    fn init(&self) -> InitConfiguration<'_> {
        InitConfiguration {
            header: self.header("InitConfiguration"),
            endpoint: &self.endpoint,
            node_registration: registration(self.form, &self.node),
            bootstrap_tokens: [BootstrapToken {
                description: "kubexm: made with the cluster",
                ttl: "1m0s",
            }],
        }
    }

    fn cluster(&self) -> ClusterConfiguration<'_> {
        let cluster = &self.cluster;
        let form = self.form;
        ClusterConfiguration {
            header: self.header("ClusterConfiguration"),
            cluster_name: &cluster.name,
            kubernetes_version: &cluster.version,
            control_plane_endpoint: &cluster.endpoint,
            certificates_dir: "/etc/kubernetes/pki",
            // Under the world's own names: the runtime knows that the site's registry has them.
            image_repository: "registry.k8s.io",
            networking: Networking {
                pod_subnet: &cluster.pod_subnet,
                service_subnet: &cluster.service_subnet,
                dns_domain: &cluster.dns_domain,
            },
            etcd: self.etcd(),
            dns: Image {
                image_tag: cluster.dns_image_tag.as_deref(),
            },
            api_server: ApiServer {
                cert_sans: &cluster.cert_sans,
                component: component(form, &cluster.api_server),
            },
            controller_manager: component(form, &cluster.controller_manager),
            scheduler: component(form, &cluster.scheduler),
        }
    }

    fn etcd(&self) -> Etcd<'_> {
        match &self.cluster.etcd {
            KubeadmEtcd::Local {
                data_dir,
                image_tag,
                arguments,
            } => Etcd::Local {
                data_dir,
                image: Image {
                    image_tag: image_tag.as_deref(),
                },
                extra_args: self.form.arguments(arguments),
            },
            KubeadmEtcd::External { endpoints, tls } => Etcd::External {
                endpoints,
                tls: tls.clone(),
            },
        }
    }

    fn kubelet(&self) -> KubeletConfiguration<'_> {
        KubeletConfiguration {
            header: Header {
                api_version: "kubelet.config.k8s.io/v1beta1",
                kind: "KubeletConfiguration",
            },
            cgroup_driver: "systemd",
            cluster_dns: &self.kubelet.cluster_dns,
            cluster_domain: &self.kubelet.cluster_domain,
        }
    }
}

impl Template for Kubeadm {
    fn render(&self) -> Result<String, TemplateError> {
        const NAME: &str = "kubeadm.yaml";
        let documents = [
            yaml::document(NAME, &self.init())?,
            yaml::document(NAME, &self.cluster())?,
            self.kube_proxy.render()?,
            yaml::document_with(NAME, &self.kubelet(), &self.kubelet.settings)?,
        ];
        Ok(documents.join("---\n"))
    }
}

impl Template for KubeadmJoin {
    fn render(&self) -> Result<String, TemplateError> {
        let endpoint = self.endpoint.as_ref();
        let document = JoinConfiguration {
            header: Header {
                api_version: self.form.api_version(),
                kind: "JoinConfiguration",
            },
            discovery: Discovery {
                bootstrap_token: TokenDiscovery {
                    api_server_endpoint: &self.apiserver,
                    token: &self.token,
                    ca_cert_hashes: [&self.ca_hash],
                },
            },
            node_registration: registration(self.form, &self.node),
            control_plane: endpoint.map(|endpoint| ControlPlane { endpoint }),
        };
        yaml::document("kubeadm-join.yaml", &document)
    }
}
