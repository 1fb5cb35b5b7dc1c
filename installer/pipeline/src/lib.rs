//! What a person asked for: modules in order, lowered into one graph and run.

mod access;
mod adopt;
mod check;
mod delete;
mod error;
mod install;
mod kubeconfig;
mod lease;
mod nodes;
mod restart;
mod retire;
mod session;
mod upgrade;

pub use access::{Access, AccessError, inventory, inventory_of};
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
    Activity, CONTROL_PLANE, Carried, ClusterSeen, Draining, ETCD, HostSeen, LivingNode, LocalData,
    NodeSeen, OPERATOR, Part, RegistryCredentials, Site, Stand,
};
pub use nodes::{Departure, Parting, Reach, delete_nodes};
pub use restart::{Restarting, restart};
pub use retire::{added, left_out};
pub use session::{Options, Session, dry_run};
pub use upgrade::{Emptying, Living, Unavailable, Way, judge, look, other_version, upgrade};
