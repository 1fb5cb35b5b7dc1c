use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cluster, NetworkPlugin, RuntimeType};

/// A program that is not needed to run the cluster, but handy to work with it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// On the masters.
    Helm,
    /// On every node, for what containerd runs there. Only with containerd.
    Nerdctl,
    /// On the masters.
    Calicoctl,
    /// As a service of every node, `buildkit.service`. Only with containerd.
    Buildkit,
    /// On every node, as a command of docker's own. Only with docker.
    DockerCompose,
}

impl Tool {
    /// The name in the config and in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Helm => "helm",
            Self::Nerdctl => "nerdctl",
            Self::Calicoctl => "calicoctl",
            Self::Buildkit => "buildkit",
            Self::DockerCompose => "docker-compose",
        }
    }

    /// The runtime that it speaks to; none where it needs none.
    #[must_use]
    pub const fn speaks_to(self) -> Option<RuntimeType> {
        match self {
            Self::Helm | Self::Calicoctl => None,
            Self::Nerdctl | Self::Buildkit => Some(RuntimeType::Containerd),
            Self::DockerCompose => Some(RuntimeType::Docker),
        }
    }
}

impl Cluster {
    /// The optional programs to bundle: those asked for, or those that go with the rest of the config.
    #[must_use]
    pub fn tools(&self) -> BTreeSet<Tool> {
        if let Some(tools) = &self.spec.tools {
            return tools.iter().copied().collect();
        }
        let mut tools = BTreeSet::from([Tool::Helm]);
        if self.spec.kubernetes.container_runtime.kind == RuntimeType::Containerd {
            tools.insert(Tool::Nerdctl);
        }
        if self.spec.network.plugin == NetworkPlugin::Calico {
            tools.insert(Tool::Calicoctl);
        }
        tools
    }

    /// Those of them that hosts get: what speaks to another runtime than theirs only travels.
    #[must_use]
    pub fn tools_of_hosts(&self) -> BTreeSet<Tool> {
        let runtime = self.spec.kubernetes.container_runtime.kind;
        let mut tools = self.tools();
        tools.retain(|tool| tool.speaks_to().is_none_or(|spoken| spoken == runtime));
        tools
    }
}
