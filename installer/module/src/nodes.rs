//! The nodes that run pods.

use engine::{Slot, Stage};
use task::{NodeSeen, Site};

/// The workers as nodes.
#[must_use]
pub fn workers(site: &Site) -> Stage {
    Stage::new(
        "workers",
        vec![
            task::internal_balancer(site),
            task::worker_nodes(site),
            task::kubeadm_workers(site),
            task::node_marks(site),
            task::runtime_classes(site),
            task::reach_endpoint(site),
        ],
    )
    .after(task::after_control_plane())
}

/// The nodes as the cluster has them.
#[must_use]
pub fn nodes(seen: Slot<Vec<NodeSeen>>) -> Stage {
    Stage::new("nodes", vec![task::look_at_nodes(seen)])
}
