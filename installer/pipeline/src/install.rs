use engine::{Graph, Plan, Stage};
use module::{Occasion, Site};

use crate::PipelineError;

/// The stages of an install, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstallStage {
    Preflight,
    Prepare,
    Os,
    Registry,
    Runtime,
    Etcd,
    LoadBalancer,
    Images,
    ControlPlane,
    Network,
    Workers,
    NodeNetwork,
    Proof,
}

impl InstallStage {
    pub const ALL: &[Self] = &[
        Self::Preflight,
        Self::Prepare,
        Self::Os,
        Self::Registry,
        Self::Runtime,
        Self::Etcd,
        Self::LoadBalancer,
        Self::Images,
        Self::ControlPlane,
        Self::Network,
        Self::Workers,
        Self::NodeNetwork,
        Self::Proof,
    ];
    pub const LAST: Self = Self::Proof;

    /// As it is called on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Prepare => "prepare",
            Self::Os => "os",
            Self::Registry => "registry",
            Self::Runtime => "runtime",
            Self::Etcd => "etcd",
            Self::LoadBalancer => "load-balancer",
            Self::Images => "images",
            Self::ControlPlane => "control-plane",
            Self::Network => "network",
            Self::Workers => "workers",
            Self::NodeNetwork => "node-network",
            Self::Proof => "proof",
        }
    }

    fn of(self, site: &Site) -> Stage {
        match self {
            Self::Preflight => module::preflight(site),
            Self::Prepare => module::prepare(site),
            Self::Os => module::os(site),
            Self::Registry => module::registry(site),
            Self::Runtime => module::runtime(site),
            Self::Etcd => module::etcd(site),
            Self::LoadBalancer => module::load_balancer(site),
            Self::Images => module::images(site),
            Self::ControlPlane => module::control_plane(site),
            Self::Network => module::network(site),
            Self::Workers => module::workers(site),
            Self::NodeNetwork => module::node_network(site),
            Self::Proof => module::proof(site, Occasion::Install),
        }
    }
}

/// From bare hosts to a cluster that has proven that it works; or only so far.
pub fn install(site: &Site, until: InstallStage) -> Result<Graph, PipelineError> {
    let unsupported = site.unsupported();
    if !unsupported.is_empty() {
        return Err(PipelineError::Unsupported(unsupported));
    }
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    Graph::of(plan(site, until)).map_err(PipelineError::Plan)
}

/// The stages in their order. `delete` is the same list backwards.
pub(crate) fn plan(site: &Site, until: InstallStage) -> Plan {
    let wanted = InstallStage::ALL.iter().filter(|stage| **stage <= until);
    Plan::new("install", wanted.map(|stage| stage.of(site)).collect())
}
