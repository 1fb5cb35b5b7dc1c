//! What a person asked for: modules in order, lowered into one graph and run.

mod access;
mod check;
mod delete;
mod error;
mod install;
mod kubeconfig;
mod session;

pub use access::{Access, AccessError, inventory};
pub use check::{check, nodes};
pub use delete::delete;
pub use engine::{Data, DryNode, DryState, Failure, Graph, Inventory, NodeView, RunReport, tree};
pub use error::PipelineError;
pub use host::ssh::{HostKeys, UnknownHost};
pub use install::{InstallStage, install};
pub use kubeconfig::{Kubeconfig, kubeconfig};
pub use module::{CONTROL_PLANE, NodeSeen, OPERATOR, RegistryCredentials, Site};
pub use session::{Options, Session, dry_run};
