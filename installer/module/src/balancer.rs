//! What is in front of the apiservers.

use engine::{Stage, Task};
use task::Site;

pub(crate) fn prepare(site: &Site) -> Task {
    task::kube_vip_pki(site)
}

/// What is in front of the masters on hosts of its own. Empty where kubexm sets up none.
#[must_use]
pub fn load_balancer(site: &Site) -> Stage {
    Stage::new(
        "load balancer",
        vec![
            task::load_balancer(site),
            task::prove_virtual_addresses(site),
        ],
    )
}

/// What holds the addresses and ports of the apiservers' endpoint: nobody else can, as long as it does.
#[must_use]
pub fn virtual_addresses(site: &Site) -> Stage {
    Stage::new(
        "load balancer",
        vec![
            task::load_balancer(site),
            task::kube_vip(site),
            task::internal_balancer(site),
        ],
    )
}
