//! What a store needs once it is at work: somebody who looks at it, copies of it, room on its disks.

use std::sync::Arc;

use engine::{Order, Rolling, Slot, Task, Turn};
use step::{
    BackupNote, BackupOf, BindingFiles, DefragMember, DisarmAlarms, LookAtMember, MemberSeen,
    SaveSnapshot, SnapshotName,
};

use crate::Site;
use crate::control_plane::pki::CA;

/// The name under which the first member that answers takes part in a plan. No host can be called so.
pub const ETCD: &str = "(etcd)";

/// Each member, as its own host tells of it.
#[must_use]
pub fn look_at_members(site: &Site, members: &[(String, Slot<MemberSeen>)]) -> Task {
    let etcd = &site.cluster.spec.etcd;
    let hosts = site.members();
    members
        .iter()
        .fold(Task::new("members"), |task, (name, seen)| {
            let Some(host) = hosts.iter().find(|host| host.name == *name) else {
                return task;
            };
            let look = LookAtMember {
                me: Site::peer(host),
                cluster: site.etcd(),
                data_dir: etcd.data_dir.clone(),
                quota: etcd.quota_backend_bytes,
                backup: super::schedule::timer(site),
                seen: seen.clone(),
            };
            task.on(name, vec![Arc::new(look)])
        })
}

/// A snapshot, on the operator's machine.
#[must_use]
pub fn back_up(site: &Site, to: SnapshotName, saved: &Slot<BackupNote>) -> Task {
    let save = SaveSnapshot {
        cluster: site.etcd(),
        data_dir: site.cluster.spec.etcd.data_dir.clone(),
        to,
        of: BackupOf {
            cluster: site.cluster.name().to_owned(),
            kubernetes: site.kubernetes_version().with_v(),
            bound_to: binding_files(site),
        },
        saved: saved.clone(),
    };
    Task::new("backup").on(ETCD, vec![Arc::new(save)])
}

/// What a snapshot goes with: the authorities that its objects were signed by, and the keys that some are encrypted by.
#[must_use]
pub fn binding_files(site: &Site) -> BindingFiles {
    let arguments = &site.cluster.spec.kubernetes.api_server.extra_args;
    let name = |file: &str| format!("kubernetes/{file}");
    BindingFiles {
        authorities: vec![
            (name("ca.crt"), site.kubernetes_files(CA).certificate()),
            (name("sa.pub"), site.service_account_key().public()),
        ],
        encryption: arguments.get("encryption-provider-config").map(Into::into),
    }
}

/// One member after the other, in this order. A member that does not get well is the last one touched.
#[must_use]
pub fn defragment(site: &Site, order: &[String]) -> Task {
    let hosts = site.members();
    let ordered = order.iter().filter_map(|name| {
        let host = hosts.iter().find(|host| host.name == *name)?;
        Some((name, Site::peer(host)))
    });
    let turns = ordered.fold(Rolling::one_by_one(), |rolling, (name, me)| {
        let act = DefragMember {
            me,
            cluster: site.etcd(),
        };
        rolling.on(name, Turn::new(Arc::new(act)))
    });
    Task::new("defragmentation")
        .roll(turns)
        .then(Order::Settled)
}

/// Once for all members.
#[must_use]
pub fn disarm_alarms(site: &Site) -> Task {
    let disarm = DisarmAlarms {
        cluster: site.etcd(),
    };
    Task::new("alarms").on(ETCD, vec![Arc::new(disarm)])
}
