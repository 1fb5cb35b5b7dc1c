//! The site's registry.

use engine::{Order, Retry, Stage, Task};
use task::{Forgotten, ImagesSeen, OPERATOR, PushedImages, Site};

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

/// What it takes to log in there.
#[must_use]
pub fn registry_secrets(site: &Site) -> Stage {
    Stage::new("prepare", vec![prepare(site)])
}

/// Images that are in no bundle of the cluster.
#[must_use]
pub fn push_others(site: &Site, pushed: PushedImages) -> Stage {
    Stage::new("registry", vec![task::push_others(site, pushed)])
}

/// Nodes find images of hosts that none had before.
#[must_use]
pub fn learn_image_hosts(site: &Site) -> Stage {
    Stage::new("nodes", vec![task::learn_image_hosts(site)])
}

/// What lies in the registry, and what the cluster names.
#[must_use]
pub fn look_at_images(site: &Site, seen: &ImagesSeen) -> Stage {
    let tasks = vec![
        task::list_held_images(site, seen),
        task::list_used_images(seen),
    ];
    Stage::new("images", tasks)
}

/// What the registry is to forget.
#[must_use]
pub fn forget_images(site: &Site, forgotten: &Forgotten) -> Stage {
    Stage::new("registry", vec![task::forget_images(site, forgotten)])
}
