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
    Helm,
    Nerdctl,
    Calicoctl,
    Buildkit,
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
}

impl Cluster {
    /// The optional programs to bundle and install: those asked for, or those that go with the rest of the config.
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
}
