//! A host by itself: what it is, whose it is, and whether it will do.

use engine::{Data, Slot, Stage};
use task::{HostSeen, Site};

/// Everything that is wrong is found and told before anything is touched.
#[must_use]
pub fn preflight(site: &Site) -> Stage {
    Stage::new(
        "preflight",
        vec![task::survey(site), task::ask_registry(site)],
    )
}

/// What is signed here must be valid there.
#[must_use]
pub fn clocks(site: &Site) -> Stage {
    Stage::new("clocks", vec![task::compare_clocks(site)])
}

/// Before anything is taken away: whose each host is. A host that is down keeps no other waiting.
#[must_use]
pub fn recognise(site: &Site, data: Data) -> Stage {
    Stage::new("recognise", vec![task::recognise(site, data)])
}

/// The hosts as they are.
#[must_use]
pub fn hosts(site: &Site, hosts: &[(String, Slot<HostSeen>)]) -> Stage {
    Stage::new("hosts", vec![task::look_at_hosts(site, hosts)])
}
