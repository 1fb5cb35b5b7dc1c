//! Runs a graph of steps on hosts. Knows no Kubernetes.
//!
//! The layers declare: a pipeline is a [`Plan`] of [`Stage`]s, a stage a list of [`Task`]s, a task puts [`Step`]s onto
//! hosts. [`Graph::of`] lowers the plan into one acyclic graph, and from that one graph come the run ([`run`]), the dry
//! run ([`dry_run`]) and the drawings ([`Graph::tree`], [`Graph::dot`]).
//!
//! Every node goes check → (satisfied | needed because … → apply → check again). What is true is asked of the host;
//! the [`Journal`] explains afterwards, and decides nothing.

mod ahead;
mod answers;
mod drive;
mod dry;
mod gone;
mod graph;
mod journal;
mod lease;
mod lock;
mod lowering;
mod name;
mod origins;
mod outage;
mod plan;
mod proofs;
mod question;
mod render;
mod rolling;
mod rolls;
mod run;
mod slot;
mod state_file;
mod step;
mod tally;
mod telling;
mod together;
mod turns;

pub use dry::{DryNode, DryState, dry_run};
pub use graph::{Gate, Graph, GraphError, LinkedNode, NodeView};
pub use journal::{History, Journal, JournalError, Record};
pub use lease::{Claim, Lease, LeaseError, OtherLease, StaleLease};
pub use lock::{Lock, LockError};
pub use name::Name;
pub use plan::{Order, Plan, Stage, Task};
pub use question::Question;
pub use render::{Line, tree};
pub use rolling::{Batch, Rolling, Turn};
pub use run::{Failure, RunOptions, RunReport, run};
pub use slot::{Slot, SlotId};
pub use step::{Asks, Cx, Data, Retry, State, Step, StepError, Trace};

use std::collections::BTreeMap;
use std::sync::Arc;

/// The hosts of a run by name.
pub type Inventory = BTreeMap<String, Arc<dyn host::Host>>;
