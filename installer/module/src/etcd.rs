//! The cluster's store.

use camino::Utf8Path;
use engine::{Retry, Slot, Stage, Task};
use task::{BackupNote, MemberSeen, Site};

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

/// How each member is, as its own host tells.
#[must_use]
pub fn etcd_status(site: &Site, members: &[(String, Slot<MemberSeen>)]) -> Stage {
    Stage::new("status", vec![task::look_at_members(site, members)])
}

/// A snapshot of a healthy member, on the operator's machine.
#[must_use]
pub fn etcd_backup(site: &Site, to: &Utf8Path, saved: &Slot<BackupNote>) -> Stage {
    Stage::new("backup", vec![task::back_up(site, to, saved)])
}

/// Members that give back what they no longer use, one after the other in this order.
#[must_use]
pub fn etcd_defrag(site: &Site, order: &[String]) -> Stage {
    Stage::new("defragment", vec![task::defragment(site, order)])
}

/// No alarm any more.
#[must_use]
pub fn etcd_disarm(site: &Site) -> Stage {
    Stage::new("disarm", vec![task::disarm_alarms(site)])
}
