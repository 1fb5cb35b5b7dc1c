//! Members of etcd, and what is asked of them.

pub(crate) mod aside;
mod backup_directory;
mod bindings;
pub(crate) mod damaged;
mod defrag;
mod disarm;
mod drill;
pub(crate) mod enter;
pub(crate) mod etcdctl;
pub(crate) mod health;
mod keep_authority;
mod keys;
mod last_words;
mod look;
mod note_founded;
mod promote;
mod remove_member;
mod restore;
mod run;
mod save;
mod snapshot_file;
mod start;
mod status;
mod timer;
mod verify;

pub use aside::SetAsideRemoved;
pub use backup_directory::BackupDirectory;
pub use bindings::{BindingFiles, Bindings, InsistOnEncryption};
pub use damaged::RemoveDamagedMember;
pub use defrag::DefragMember;
pub use disarm::DisarmAlarms;
pub use drill::{DrillSnapshot, Drilled};
pub use enter::{EnterEtcd, Entry};
pub use etcdctl::{EtcdCluster, EtcdPeer, EtcdRuns};
pub use keep_authority::KeepEtcdAuthority;
pub use keys::{HostSecret, ReadSecret, Recipients, SealKeys};
pub use look::{EtcdTrace, LookAtEtcd};
pub use note_founded::NoteEtcdFounded;
pub use promote::PromoteEtcdMember;
pub use remove_member::RemoveEtcdMember;
pub use restore::{
    BeginRestore, BringSnapshot, EndRestore, HaltNode, NoteSwapped, PrepareData, RemoveSnapshot,
    RestartWorkloads, Restore, RestorePhase, Revisions, SnapshotSeal, StartStaticPods, StartUnits,
    StartWait, SwapData,
};
pub use run::{RunEtcd, SpareEtcd};
pub use save::{BackupOf, SaveSnapshot, SnapshotName};
pub use snapshot_file::{BackupNote, CopiedStore, SnapshotFile};
pub use start::{StartEtcd, Stopped};
pub use status::{EtcdAlarm, LookAtMember, MemberSeen, MemberState, MemberTold};
pub use timer::{BackupSeen, BackupTimer, KeptSnapshot};
pub use verify::{HealthyMembers, VerifyEtcd};
