//! Members of etcd, and what is asked of them.

mod enter;
pub(crate) mod etcdctl;
mod keep_authority;
mod look;
mod note_founded;
mod promote;
mod remove_member;
mod run;
mod snapshot;
mod start;
mod verify;

pub use enter::{EnterEtcd, Entry};
pub use etcdctl::{EtcdCluster, EtcdPeer, etcd_answers};
pub use keep_authority::KeepEtcdAuthority;
pub use look::{EtcdTrace, LookAtEtcd};
pub use note_founded::NoteEtcdFounded;
pub use promote::PromoteEtcdMember;
pub use remove_member::{RemoveEtcdMember, WayToEtcd};
pub use run::{RunEtcd, SpareEtcd};
pub use snapshot::{Snapshot, TakeSnapshot};
pub use start::{StartEtcd, Stopped};
pub use verify::{HealthyMembers, VerifyEtcd};
