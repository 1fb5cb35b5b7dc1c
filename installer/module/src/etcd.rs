//! The cluster's store.

use engine::{Retry, Stage, Task};
use task::Site;

pub(crate) fn prepare(site: &Site) -> Task {
    task::etcd_pki(site)
}

/// Its members, where they are services of their own.
#[must_use]
pub fn etcd(site: &Site) -> Stage {
    Stage::new("etcd", vec![task::etcd_members(site)])
}

pub(crate) fn prove(site: &Site, patience: Retry) -> Task {
    task::prove_etcd(site, patience)
}
