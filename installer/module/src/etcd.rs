//! The cluster's store.

use camino::Utf8Path;
use engine::{Order, Retry, Slot, Stage, Task};
use task::{
    BackupNote, Drilled, MemberSeen, Recipients, RestorePhase, RestorePlan, Site, SnapshotFile,
    SnapshotName,
};

use crate::proof::{Occasion, proof};

pub(crate) fn prepare(site: &Site) -> Task {
    task::etcd_pki(site)
}

/// Its members, where they are services of their own, with the snapshots that they take by themselves.
#[must_use]
pub fn etcd(site: &Site) -> Stage {
    Stage::new(
        "etcd",
        vec![task::etcd_members(site), task::backups_of_services(site)],
    )
}

pub(crate) fn prove(site: &Site, patience: Retry) -> Task {
    task::prove_etcd(site, patience)
}

/// How each member is, as its own host tells.
#[must_use]
pub fn etcd_status(site: &Site, members: &[(String, Slot<MemberSeen>)]) -> Stage {
    Stage::new("status", vec![task::look_at_members(site, members)])
}

/// A snapshot of a healthy member, on the operator's machine; and the cluster's keys beside it, for those who are named.
#[must_use]
pub fn etcd_backup(
    site: &Site,
    to: &Utf8Path,
    saved: &Slot<BackupNote>,
    recipients: Option<&Recipients>,
) -> Stage {
    let mut tasks = vec![task::back_up(
        site,
        SnapshotName::File(to.to_owned()),
        saved,
    )];
    if let Some(recipients) = recipients {
        tasks.extend(task::seal_keys(site, to, recipients));
    }
    Stage::new("backup", tasks)
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

/// The store of a snapshot in the place of the one that is there, as far as a run before has not brought it. Until every
/// member's new data is ready nothing is stopped; when all have it nothing is stopped any more.
#[must_use]
pub fn etcd_restore(site: &Site, plan: &RestorePlan) -> Vec<Stage> {
    let members: Vec<String> = site
        .members()
        .iter()
        .map(|host| host.name.clone())
        .collect();
    let all_members = || Order::Enough {
        needed: members.len(),
        of: members.clone(),
    };
    let mut stages = Vec::new();
    if plan.restore.phase == RestorePhase::Begun {
        stages.push(Stage::new("ready", vec![task::prepare_restore(site, plan)]));
        stages.push(Stage::new("halt", vec![task::halt(site)]).after(all_members()));
        stages.push(Stage::new("data", vec![task::swap(site, plan)]).after(task::core_of(site)));
    }
    let start = Stage::new("etcd", vec![task::start_members(site)]);
    stages.push(match plan.restore.phase {
        RestorePhase::Begun => start.after(Order::Host(task::OPERATOR.to_owned())),
        RestorePhase::Swapped => start,
    });
    stages.extend([
        Stage::new("control plane", vec![task::start_control_plane(site)]).after(all_members()),
        Stage::new("nodes", vec![task::start_nodes(site, plan)]).after(task::core_of(site)),
        Stage::new("end", vec![task::end_restore(site, plan)])
            .after(Order::Host(task::CONTROL_PLANE.to_owned())),
        proof(site, Occasion::Changed).after(Order::Settled),
    ]);
    stages
}

/// An etcd on this machine with what a snapshot holds; none where the bundle has none for it.
#[must_use]
pub fn etcd_drill(
    site: &Site,
    snapshot: &SnapshotFile,
    note: Option<BackupNote>,
    drilled: &Slot<Drilled>,
) -> Option<Stage> {
    let drill = task::drill(site, snapshot, note, drilled)?;
    Some(Stage::new("drill", vec![drill]))
}
