//! What only an upgrade has.

use engine::{Slot, Stage};
use task::{ClusterSeen, Site};

/// The cluster as it is: asked, and nothing changed.
#[must_use]
pub fn look(site: &Site, seen: &Slot<ClusterSeen>, apiservers: &[(String, Slot<String>)]) -> Stage {
    Stage::new("look", vec![task::look_at_cluster(site, seen, apiservers)])
}

/// Ahead of the first change of a hop.
#[must_use]
pub fn snapshot(site: &Site) -> Stage {
    Stage::new("snapshot", vec![task::keep_snapshot(site)])
}

/// What an earlier run has left cordoned takes pods again before anything else: its turn comes again.
#[must_use]
pub fn uncordon(_: &Site) -> Stage {
    Stage::new("uncordon", vec![task::uncordon_all()])
}
