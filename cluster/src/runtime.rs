use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Cluster, KeyPath, Strings, Version};

/// The container runtime of every node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerRuntime {
    /// Which one. A change of it is made by `install --replace-runtime`, node by node.
    #[serde(rename = "type")]
    pub kind: RuntimeType,
    /// The runtime's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "goes with Kubernetes"))]
    pub version: Option<Version>,
    /// Settings for `type: containerd`.
    pub containerd: Containerd,
    /// Settings for `type: docker`.
    #[serde(skip_serializing_if = "Docker::is_default")]
    pub docker: Docker,
    /// Settings for `type: cri-o`.
    #[serde(skip_serializing_if = "Crio::is_default")]
    pub crio: Crio,
}

/// Which container runtime.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum RuntimeType {
    /// With runc.
    #[default]
    #[serde(rename = "containerd")]
    Containerd,
    /// With cri-dockerd.
    #[serde(rename = "docker")]
    Docker,
    /// A runtime for Kubernetes alone.
    #[serde(rename = "cri-o")]
    #[schemars(extend("x-aliases" = ["crio"]))]
    CriO,
}

impl RuntimeType {
    /// The name in the config, and of its folder in the tree.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::CriO => "cri-o",
        }
    }
}

impl fmt::Display for RuntimeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of containerd.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Containerd {
    /// The same as `containerRuntime.version`; give it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "goes with Kubernetes"))]
    pub version: Option<Version>,
    /// Mirrors for docker.io that the site has: `https://mirror.corp`, or without `https://`. They are asked in their order, behind
    /// the site's registry where there is one; docker.io itself never is.
    #[serde(skip_serializing_if = "Strings::is_empty")]
    pub registry_mirrors: Strings,
    /// Registries of the site that nodes ask themselves, without checking their certificate, and by plain HTTP where they have none:
    /// `old-hub.corp:5000`.
    #[serde(skip_serializing_if = "Strings::is_empty")]
    pub insecure_registries: Strings,
    /// Merged into containerd's `config.toml`: tables are merged, anything else is replaced. The section names differ
    /// between containerd 1.x (`io.containerd.grpc.v1.cri`) and 2.x (`io.containerd.cri.v1.images`,
    /// `io.containerd.cri.v1.runtime`); where a version is given, those of the other are refused. `registry.mirrors` and
    /// `registry.configs.*.tls` are refused: kubexm sets `config_path`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-aliases" = ["containerdConfig"]))]
    pub config: Map<String, Value>,
}

/// Settings of Docker. Its data is in `registry.dockerDataDir`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Docker {
    /// Merged into `daemon.json`: objects are merged, anything else is replaced. `data-root` has a key of its own.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

/// Settings of CRI-O.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Crio {
    /// Where CRI-O keeps its data, on every node. Preflight asks for four times the images' compressed size there.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub data_dir: Utf8PathBuf,
    /// Merged into CRI-O's configuration: tables are merged, anything else is replaced. `crio.root` has a key of its own.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

impl Default for Crio {
    fn default() -> Self {
        Self {
            // podman and its kin have /var/lib/containers.
            data_dir: "/var/lib/crio/storage".into(),
            config: Map::new(),
        }
    }
}

impl Docker {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Crio {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a runtime keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeData<'c> {
    /// The key that says so.
    pub key: &'static str,
    /// What messages call it.
    pub of: &'static str,
    pub path: &'c Utf8Path,
}

const KEY: &str = "spec.kubernetes.containerRuntime";

impl Cluster {
    /// The version of the container runtime that the config asks for, wherever it is written.
    #[must_use]
    pub fn runtime_version(&self) -> Option<&Version> {
        let runtime = &self.spec.kubernetes.container_runtime;
        runtime.version.as_ref().or(self.nested_runtime_version())
    }

    fn nested_runtime_version(&self) -> Option<&Version> {
        let runtime = &self.spec.kubernetes.container_runtime;
        match runtime.kind {
            RuntimeType::Containerd => runtime.containerd.version.as_ref(),
            RuntimeType::Docker | RuntimeType::CriO => None,
        }
    }

    /// Where that version is written.
    #[must_use]
    pub fn runtime_version_key(&self) -> KeyPath {
        let runtime = &self.spec.kubernetes.container_runtime;
        let outer = runtime.version.is_some() || self.nested_runtime_version().is_none();
        let at = KeyPath::of(KEY);
        if outer {
            at.key("version")
        } else {
            at.key(runtime.kind.name()).key("version")
        }
    }

    /// Where the container runtime keeps its data.
    #[must_use]
    pub fn runtime_data(&self) -> RuntimeData<'_> {
        let registry = &self.spec.registry;
        let (key, of, path) = match self.spec.kubernetes.container_runtime.kind {
            RuntimeType::Containerd => (
                "spec.registry.containerdDataDir",
                "containerd's data",
                &registry.containerd_data_dir,
            ),
            RuntimeType::Docker => (
                "spec.registry.dockerDataDir",
                "Docker's data",
                &registry.docker_data_dir,
            ),
            RuntimeType::CriO => (
                "spec.kubernetes.containerRuntime.crio.dataDir",
                "CRI-O's data",
                &self.spec.kubernetes.container_runtime.crio.data_dir,
            ),
        };
        RuntimeData { key, of, path }
    }
}
