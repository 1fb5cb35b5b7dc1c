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
