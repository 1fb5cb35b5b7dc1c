//! The container runtime of every node.

use engine::Stage;
use task::Site;

/// With no way to pull from anywhere but the site's registry.
#[must_use]
pub fn runtime(site: &Site) -> Stage {
    Stage::new(
        "runtime",
        vec![task::pod_network(site), task::container_runtime(site)],
    )
}

/// What runtimes that gave way have left.
#[must_use]
pub fn former_runtimes(site: &Site) -> Stage {
    Stage::new("former runtimes", vec![task::former_runtimes(site)])
}
