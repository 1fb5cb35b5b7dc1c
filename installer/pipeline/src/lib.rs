//! What a person asked for: modules in order, lowered into one graph and run.

mod access;
mod error;
mod install;
mod session;

pub use access::{Access, AccessError, inventory};
pub use engine::{DryNode, DryState, Failure, Graph, Inventory, NodeView, RunReport, tree};
pub use error::PipelineError;
pub use host::ssh::{HostKeys, UnknownHost};
pub use install::{InstallStage, install};
pub use module::{OPERATOR, RegistryCredentials, Site};
pub use session::{Options, Session, dry_run};
