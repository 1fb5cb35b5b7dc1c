//! What runs in the cluster beside Kubernetes.

use engine::{Order, Stage};
use task::Site;

/// Behind the nodes, on which its pods are to run.
#[must_use]
pub fn addons(site: &Site) -> Stage {
    Stage::new("addons", vec![task::addons(site)]).after(Order::Settled)
}

/// Those that a changed config asks for no more.
#[must_use]
pub fn former_addons(before: &Site, now: &Site) -> Stage {
    Stage::new(
        "former addons",
        vec![
            task::former_node_local_dns(before, now),
            task::former_addons(before, now),
        ],
    )
}
