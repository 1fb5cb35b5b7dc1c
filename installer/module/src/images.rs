//! The images of the bundle on the nodes.

use engine::Stage;
use task::Site;

/// Every node can pull what the site's registry holds, and nothing else.
#[must_use]
pub fn images(site: &Site) -> Stage {
    Stage::new("images", vec![task::prove_images(site)])
}
