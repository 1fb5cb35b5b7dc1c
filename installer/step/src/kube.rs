//! What is asked of Kubernetes, and given to it: kubectl on a master.

mod apply_manifest;
mod await_heartbeat;
mod await_node;
mod drain;
mod eviction;
mod grant_administrators;
pub(crate) mod kubectl;
mod look_at_cluster;
mod mark_nodes;
mod note_applied;
pub(crate) mod objects;
pub(crate) mod pods;
mod reach_endpoint;
mod reset_node;
mod roll_pods;
mod wait_ready;

pub use apply_manifest::ApplyManifest;
pub use await_heartbeat::AwaitHeartbeat;
pub use await_node::AwaitNode;
pub use drain::{DrainNode, UncordonAll, UncordonNode};
pub use eviction::Guarded;
pub use grant_administrators::GrantAdministrators;
pub use look_at_cluster::{ClusterSeen, DeprecatedApi, LivingNode, LookAtApiserver, LookAtCluster};
pub use mark_nodes::{InvalidTaint, MarkNodes, NodeMarks, Taint};
pub use note_applied::{APPLIED_CONFIG, APPLIED_CONTENTS, NoteLocally, NoteOnHost};
pub use reach_endpoint::{ReachAddress, ReachApiserver};
pub use reset_node::ResetNode;
pub use roll_pods::RollPods;
pub use wait_ready::{Health, WaitReady};
