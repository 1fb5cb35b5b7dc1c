use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cluster, Host, Role};

/// Another way to run containers, beside the runtime's own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeClass {
    /// With the GPUs of the host. It needs NVIDIA's driver and container toolkit there.
    Nvidia,
    /// In a virtual machine for each pod. It needs /dev/kvm, and Kata's static archive in /opt/kata.
    Kata,
}

impl RuntimeClass {
    pub const ALL: [Self; 2] = [Self::Nvidia, Self::Kata];

    /// As a pod names it, and as the runtime's configuration does.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Kata => "kata",
        }
    }

    /// The label of nodes that have it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nvidia => "kubexm.mensylisir.io/runtime-nvidia",
            Self::Kata => "kubexm.mensylisir.io/runtime-kata",
        }
    }
}

impl Cluster {
    /// Whether a host runs containers.
    #[must_use]
    pub fn is_node(&self, host: &Host) -> bool {
        let mut roles = [Role::Master, Role::Worker].into_iter();
        roles.any(|role| self.is_in(&host.name, role))
    }
}
