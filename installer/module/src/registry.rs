//! The site's registry.

use engine::{Order, Retry, Stage, Task};
use task::{OPERATOR, Site};

pub(crate) fn prepare(site: &Site) -> Task {
    task::registry_pki(site)
}

/// The registry with every image of the bundle. Empty where the config names no registry host.
#[must_use]
pub fn registry(site: &Site) -> Stage {
    Stage::new(
        "registry",
        vec![task::registry_service(site), task::push_images(site)],
    )
    .after(Order::Host(OPERATOR.to_owned()))
}

pub(crate) fn prove(site: &Site, patience: Retry) -> Task {
    task::prove_registry(site, patience)
}
