//! The pods' network.

use engine::{Retry, Stage, Task};
use task::Site;

/// The network plugin, as far as it is one thing for the whole cluster: nodes that join later find it there.
#[must_use]
pub fn network(site: &Site) -> Stage {
    Stage::new("network", vec![task::network_plugin(site)])
}

/// On each node, DNS included. Behind the workers: what it is on one node depends on which others there are. Then the system's pods run
/// what the bundle has.
#[must_use]
pub fn node_network(site: &Site) -> Stage {
    Stage::new(
        "node network",
        vec![
            task::node_network(site),
            task::node_local_dns(site),
            task::roll_pods(site),
        ],
    )
}

pub(crate) fn prove(site: &Site, patience: Retry) -> Task {
    task::prove_network(site, patience)
}
