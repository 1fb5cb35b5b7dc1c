use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Cluster, Strings, Version};

/// The container runtime of every node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ContainerRuntime {
    #[serde(rename = "type")]
    pub kind: RuntimeType,
    /// The runtime's version. Absent: the one that goes with the Kubernetes version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Settings for `type: containerd`.
    pub containerd: Containerd,
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
    #[default]
    #[serde(rename = "containerd")]
    Containerd,
    /// Docker with cri-dockerd.
    #[serde(rename = "docker")]
    Docker,
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
    /// As `containerRuntime.version`; give it once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Mirrors for docker.io.
    #[serde(skip_serializing_if = "Strings::is_empty")]
    pub registry_mirrors: Strings,
    /// Registries to talk to without checking their certificate.
    #[serde(skip_serializing_if = "Strings::is_empty")]
    pub insecure_registries: Strings,
    /// Merged into containerd's own `config.toml`, e.g. the plugins' settings.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-aliases" = ["containerdConfig"]))]
    pub config: Map<String, Value>,
}

impl Cluster {
    /// The version of the container runtime that the config asks for, wherever it is written.
    #[must_use]
    pub fn runtime_version(&self) -> Option<&Version> {
        let runtime = &self.spec.kubernetes.container_runtime;
        let nested = match runtime.kind {
            RuntimeType::Containerd => runtime.containerd.version.as_ref(),
            RuntimeType::Docker | RuntimeType::CriO => None,
        };
        runtime.version.as_ref().or(nested)
    }
}
