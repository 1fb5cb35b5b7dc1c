//! What only an upgrade has.

use engine::{Order, Slot, Stage};
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

/// Members of kubeadm's etcd that are too old for this hop, ahead of it.
#[must_use]
pub fn etcd_first(site: &Site) -> Stage {
    Stage::new("etcd first", vec![task::etcd_first(site)])
}

/// A worker with the programs of an older release.
#[must_use]
pub fn roll_back(site: &Site, worker: &str) -> Stage {
    Stage::new("roll back", vec![task::roll_back(site, worker)]).after(Order::AllHosts)
}

/// What an earlier run has left cordoned takes pods again before anything else: its turn comes again.
#[must_use]
pub fn uncordon(_: &Site) -> Stage {
    Stage::new("uncordon", vec![task::uncordon_all()])
}
