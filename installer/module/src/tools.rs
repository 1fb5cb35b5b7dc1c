//! What people work with.

use engine::Stage;
use task::Site;

/// Programs for those who log in to the hosts.
#[must_use]
pub fn tools(site: &Site) -> Stage {
    Stage::new("tools", vec![task::tools(site)])
}
