//! What a person asked for: modules in order, lowered into one graph and run.

mod access;
mod adopt;
mod check;
mod delete;
mod error;
mod install;
mod kubeconfig;
mod lease;
mod retire;
mod session;
mod upgrade;

pub use access::{Access, AccessError, inventory};
pub use adopt::adopt;
pub use check::{check, hosts, nodes};
pub use delete::{delete, recognise};
pub use engine::{
    Claim, Data, DryNode, DryState, Failure, Graph, Inventory, NodeView, RunReport, StaleLease,
    tree,
};
pub use error::PipelineError;
pub use host::ssh::{HostKeys, UnknownHost};
pub use install::{InstallStage, install};
pub use kubeconfig::{Kubeconfig, kubeconfig};
pub use lease::Leasing;
pub use module::{
    Activity, CONTROL_PLANE, Carried, ClusterSeen, HostSeen, LivingNode, NodeSeen, OPERATOR,
    RegistryCredentials, Site, Stand,
};
pub use retire::left_out;
pub use session::{Options, Session, dry_run};
pub use upgrade::{Emptying, Living, Unavailable, Way, before_upgrade, judge, look, upgrade};
