use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Template, TemplateError, template, yaml};

/// `KubeletConfiguration`, with the config's own settings laid over it.
#[derive(Clone, Debug)]
pub struct KubeletConfig {
    /// Where its authority and its own certificate are: `ca.crt`, `kubelet.crt`, `kubelet.key`.
    pub pki_dir: String,
    /// Where the pods are described that it runs by itself.
    pub static_pods: String,
    /// Names the DNS servers of pods that ask what the host asks.
    pub resolv_conf: String,
    /// None: a flag tells it.
    pub runtime_endpoint: Option<String>,
    pub cluster_domain: String,
    pub cluster_dns: Vec<String>,
    pub max_pods: u32,
    pub pod_pids_limit: i64,
    pub feature_gates: BTreeMap<String, bool>,
    /// What the node is tainted with from its first moment.
    pub taints: Vec<NodeTaint>,
    pub settings: Map<String, Value>,
}

/// A taint of a node, as the kubelet and kubeadm are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeTaint {
    pub key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub effect: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    authentication: Authentication,
    authorization: Authorization,
    cgroup_driver: &'static str,
    #[serde(rename = "clusterDNS")]
    cluster_dns: &'a [String],
    cluster_domain: &'a str,
    container_log_max_files: u32,
    container_log_max_size: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_runtime_endpoint: Option<&'a str>,
    eviction_hard: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    feature_gates: &'a BTreeMap<String, bool>,
    max_pods: u32,
    pod_pids_limit: i64,
    read_only_port: u16,
    #[serde(skip_serializing_if = "<[NodeTaint]>::is_empty")]
    register_with_taints: &'a [NodeTaint],
    resolv_conf: &'a str,
    rotate_certificates: bool,
    static_pod_path: &'a str,
    tls_cert_file: String,
    tls_private_key_file: String,
}

#[derive(Serialize)]
struct Authentication {
    anonymous: Enabled,
    webhook: Enabled,
    x509: X509,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct X509 {
    #[serde(rename = "clientCAFile")]
    client_ca_file: String,
}

#[derive(Serialize)]
struct Authorization {
    mode: &'static str,
}

impl Template for KubeletConfig {
    fn render(&self) -> Result<String, TemplateError> {
        let pki = &self.pki_dir;
        let document = Document {
            api_version: "kubelet.config.k8s.io/v1beta1",
            kind: "KubeletConfiguration",
            authentication: Authentication {
                anonymous: Enabled { enabled: false },
                webhook: Enabled { enabled: true },
                x509: X509 {
                    client_ca_file: format!("{pki}/ca.crt"),
                },
            },
            authorization: Authorization { mode: "Webhook" },
            cgroup_driver: "systemd",
            cluster_dns: &self.cluster_dns,
            cluster_domain: &self.cluster_domain,
            container_log_max_files: 5,
            container_log_max_size: "10Mi",
            container_runtime_endpoint: self.runtime_endpoint.as_deref(),
            // Named in part, the others would be off: the kubelet's defaults do not fill the gaps.
            eviction_hard: BTreeMap::from([
                ("imagefs.available", "15%"),
                ("imagefs.inodesFree", "5%"),
                ("memory.available", "100Mi"),
                ("nodefs.available", "10%"),
                ("nodefs.inodesFree", "5%"),
            ]),
            feature_gates: &self.feature_gates,
            max_pods: self.max_pods,
            pod_pids_limit: self.pod_pids_limit,
            read_only_port: 0,
            register_with_taints: &self.taints,
            resolv_conf: &self.resolv_conf,
            rotate_certificates: true,
            static_pod_path: &self.static_pods,
            tls_cert_file: format!("{pki}/kubelet.crt"),
            tls_private_key_file: format!("{pki}/kubelet.key"),
        };
        yaml::document_with("kubelet.yaml", &document, &self.settings)
    }
}

/// `kubelet.service`.
#[derive(Clone, Debug, Serialize)]
pub struct KubeletUnit {
    /// Each whole, as `--config=/etc/kubernetes/kubelet.yaml`.
    pub arguments: Vec<String>,
}
template!(KubeletUnit, "kubelet.service.j2");

/// `kubelet.service.d/10-kubeadm.conf`: with what kubeadm leaves for the kubelet when the node comes into the cluster.
#[derive(Clone, Debug, Serialize)]
pub struct KubeletDropIn {
    /// Those of the unit. They win over kubeadm's.
    pub arguments: Vec<String>,
}
template!(KubeletDropIn, "10-kubeadm.conf.j2");
