//! The hosts' systems.

use engine::{Order, Stage};
use task::{OPERATOR, Site};

/// Begins when preflight has found nothing; a host that is down keeps no other waiting.
#[must_use]
pub fn os(site: &Site) -> Stage {
    Stage::new(
        "os",
        vec![
            task::host_files(site),
            task::packages(site),
            task::kernel(site),
            task::addon_services(site),
            task::time(site),
        ],
    )
    .after(Order::Host(OPERATOR.to_owned()))
}
