use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hosts::is_false;
use crate::{Acts, ContainerRuntime, KubeProxyConfiguration, ProxyMode, Traits, Version};

/// Kubernetes itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Kubernetes {
    /// How the control plane is set up. See docs/topologies.md#kubernetestype.
    #[serde(rename = "type")]
    pub kind: KubernetesType,
    /// The version of Kubernetes, 1.24.0 or later. etcd, pause, coredns, CNI and runtime follow it where they have no version
    /// of their own. Newer than this kubexm knows: their versions are those of the newest it knows, and a warning says so.
    pub version: Version,
    /// Start arguments of every kubelet: `--root-dir=/var/lib/kubelet`. Those that kubexm gives itself (`--config`,
    /// `--node-ip`, `--feature-gates`, ...) are errors that say which key to set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "flag" }))]
    pub kubelet_args: Vec<String>,
    /// More names and addresses for the apiserver's certificate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "ip-or-name" }))]
    pub apiserver_cert_extra_sans: Vec<String>,
    pub container_runtime: ContainerRuntime,
    /// The cluster's DNS domain.
    #[schemars(extend("format" = "dns-name"))]
    pub cluster_name: String,
    /// A timer on each master renews what kubeadm has signed. With `type: kubexm` there is nothing of a year's life: see
    /// docs/kubernetes.md#renewing-certificates.
    #[schemars(extend("x-acts" = Acts::Kubeadm))]
    pub auto_renew_certs: bool,
    /// kube-proxy masquerades everything; for `proxyMode: iptables` alone.
    pub masquerade_all: bool,
    /// Pods that one node may run. They must fit into the node's share of the pods' network.
    #[schemars(range(min = 1))]
    pub max_pods: u32,
    /// Processes that one pod may have; -1 for no limit.
    #[schemars(range(min = -1))]
    pub pod_pids_limit: i64,
    /// The size of each node's share of the IPv4 pods' network, 8 to 30.
    #[schemars(range(min = 8, max = 30))]
    pub node_cidr_mask_size: u8,
    /// How kube-proxy forwards to services. See docs/kubernetes.md.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`ipvs` up to 1.34, `iptables` from 1.35 on"))]
    pub proxy_mode: Option<ProxyMode>,
    /// Feature gates, for every component. A gate that the version has removed is an error: nothing would start with it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// The key of older samples for Kata containers; `enabled: true` is an error that says which key it is now: `runtimeClasses` of a host.
    pub kata: Feature,
    /// The addon node-feature-discovery: labels of nodes that tell their hardware.
    pub node_feature_discovery: Feature,
    /// More settings of kube-proxy, in its own format, without `apiVersion` and `kind`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_proxy_configuration: Option<KubeProxyConfiguration>,
    /// More settings of every kubelet, in its own format, without `apiVersion` and `kind`: `{failCgroupV1: false}`. With
    /// `{failSwapOn: false}` (or `--fail-swap-on=false` in `kubeletArgs`) swap stays as it is; otherwise it is turned off.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub kubelet_configuration: Map<String, Value>,
    /// Settings of the apiservers.
    #[serde(skip_serializing_if = "Component::is_empty")]
    pub api_server: Component,
    /// Settings of the controller managers.
    #[serde(skip_serializing_if = "Component::is_empty")]
    pub controller_manager: Component,
    /// Settings of the schedulers.
    #[serde(skip_serializing_if = "Component::is_empty")]
    pub scheduler: Component,
    /// Checks of kubeadm whose findings are only warnings, by its names: `SystemVerification`, `NumCPU`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-acts" = Acts::Kubeadm))]
    pub ignore_preflight_errors: Vec<String>,
}

impl Kubernetes {
    /// The version that a config without one gets.
    pub const DEFAULT_VERSION: Version = Version::new(1, 34, 2);
    /// What is released together with Kubernetes, under its version.
    pub const RELEASED_TOGETHER: &[&str] = &[
        "kubernetes",
        "kubeadm",
        "kubelet",
        "kubectl",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
    ];
    /// The oldest version that can be installed.
    pub const OLDEST_VERSION: Version = Version::new(1, 24, 0);

    /// How this version differs from others.
    #[must_use]
    pub fn traits(&self) -> Traits {
        Traits::of(&self.version)
    }

    /// Whether the kubelets are told to live with swap: then the hosts keep theirs.
    #[must_use]
    pub fn keeps_swap(&self) -> bool {
        let by_flag = self
            .kubelet_args
            .iter()
            .any(|arg| arg == "--fail-swap-on=false");
        by_flag || self.kubelet_configuration.get("failSwapOn") == Some(&Value::Bool(false))
    }

    /// How kube-proxy forwards to services, with the default filled in.
    #[must_use]
    pub fn proxy_mode(&self) -> ProxyMode {
        self.proxy_mode
            .unwrap_or_else(|| self.traits().default_proxy_mode())
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kind: KubernetesType::Kubexm,
            version: Self::DEFAULT_VERSION,
            kubelet_args: Vec::new(),
            apiserver_cert_extra_sans: Vec::new(),
            container_runtime: ContainerRuntime::default(),
            cluster_name: "cluster.local".to_owned(),
            auto_renew_certs: false,
            masquerade_all: false,
            max_pods: 110,
            pod_pids_limit: 10_000,
            node_cidr_mask_size: 24,
            proxy_mode: None,
            feature_gates: BTreeMap::new(),
            kata: Feature::default(),
            node_feature_discovery: Feature::default(),
            kube_proxy_configuration: None,
            kubelet_configuration: Map::new(),
            api_server: Component::default(),
            controller_manager: Component::default(),
            scheduler: Component::default(),
            ignore_preflight_errors: Vec::new(),
        }
    }
}

/// How the control plane is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KubernetesType {
    /// From plain binaries, each a service.
    #[default]
    Kubexm,
    /// By kubeadm.
    Kubeadm,
}

/// Settings of one component of the control plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Component {
    /// More arguments, by name without the dashes: `{profiling: "false"}`. They win over kubexm's own, and a warning names
    /// those that the rest of the cluster goes by. A file that one names must be seen by the component:
    /// docs/kubernetes.md#files-that-arguments-name.
    #[schemars(extend("propertyNames" = { "format": "flag-name" }))]
    pub extra_args: BTreeMap<String, String>,
    /// Files and directories of each master that the component's pod gets to see. They must be there already, but for what
    /// `pathType` has made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-acts" = Acts::Kubeadm))]
    pub extra_volumes: Vec<ExtraVolume>,
}

/// A file or directory of the host inside of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtraVolume {
    /// What the volume is called: `audit-policy`.
    #[schemars(extend("format" = "dns-label"))]
    pub name: String,
    /// Where it is on the host.
    #[schemars(with = "String", extend("format" = "absolute-path"))]
    pub host_path: Utf8PathBuf,
    /// Where the pod sees it.
    #[schemars(with = "String", extend("format" = "absolute-path"))]
    pub mount_path: Utf8PathBuf,
    /// The pod cannot write to it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// What must be there, or is made. Absent: nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_type: Option<PathType>,
}

/// What is at a path of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathType {
    /// A directory, made where it is missing.
    DirectoryOrCreate,
    /// A directory that is there.
    Directory,
    /// A file, made empty where it is missing.
    FileOrCreate,
    /// A file that is there.
    File,
    /// A socket that is there.
    Socket,
}

impl PathType {
    /// The name that Kubernetes takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DirectoryOrCreate => "DirectoryOrCreate",
            Self::Directory => "Directory",
            Self::FileOrCreate => "FileOrCreate",
            Self::File => "File",
            Self::Socket => "Socket",
        }
    }
}

impl Component {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extra_args.is_empty() && self.extra_volumes.is_empty()
    }
}

/// Something that is there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Feature {
    /// Whether it is there.
    pub enabled: bool,
}
