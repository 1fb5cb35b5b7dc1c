//! The images of the bundle on the nodes.

use engine::Stage;
use task::Site;

/// Every node can pull what the site's registry holds, and nothing else; where there is none, it has every image of the bundle.
/// That is so on all nodes, also on those that keep their runtime and kubelet in an upgrade of a part: pods of the control
/// plane's version come to them as well.
#[must_use]
pub fn images(site: &Site) -> Stage {
    Stage::new(
        "images",
        vec![task::import_images(site), task::prove_images(site)],
    )
}
