use serde::Serialize;

use crate::template;

/// Takes a snapshot of a host's member of etcd, and removes those that are too many.
#[derive(Clone, Debug, Serialize)]
pub struct BackUpEtcd {
    pub cluster: String,
    pub kubernetes: String,
    /// The member's name, by which members that share a directory tell theirs.
    pub host: String,
    /// Where the snapshots are kept.
    pub dir: String,
    pub data_dir: String,
    pub keep: u32,
    pub home: MemberHome,
    /// Where the member answers on its own host.
    pub endpoint: String,
    /// As the member's programs see it.
    pub pki_dir: String,
}

/// Where a member's own programs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberHome {
    Service,
    Pod,
}
template!(BackUpEtcd, "back-up-etcd.sh.j2");

/// `kubexm-etcd-backup.service`.
#[derive(Clone, Debug, Serialize)]
pub struct BackUpEtcdUnit {
    pub script: String,
    pub dir: String,
}
template!(BackUpEtcdUnit, "back-up-etcd.service.j2");

/// `kubexm-etcd-backup.timer`.
#[derive(Clone, Debug, Serialize)]
pub struct BackUpEtcdTimer {
    /// As `OnCalendar` takes it.
    pub schedule: String,
}
template!(BackUpEtcdTimer, "back-up-etcd.timer.j2");
