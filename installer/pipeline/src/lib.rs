//! What a person asked for: modules in order, lowered into one graph and run.

mod access;
mod adopt;
mod certs;
mod check;
mod delete;
mod error;
mod etcd;
mod held_images;
mod images;
mod install;
mod kubeconfig;
mod lease;
mod nodes;
mod restart;
mod retire;
mod rotation;
mod runtime;
mod session;
mod snapshot;
mod upgrade;

pub use access::{Access, AccessError, inventory, inventory_of, operator_alone};
pub use adopt::adopt;
pub use certs::{certificates, certificates_look, renew};
pub use check::{check, hosts, nodes};
pub use delete::{delete, recognise};
pub use engine::{
    Claim, Data, DryNode, DryState, Failure, Gate, Graph, Inventory, Journal, JournalError, Line,
    LinkedNode, Name, NodeView, Record, RunReport, Slot, StaleLease, tree,
};
pub use error::PipelineError;
pub use etcd::{
    etcd_backup, etcd_defrag, etcd_disarm, etcd_drill, etcd_look, etcd_restore, insist_on_keys,
    members, recipients, restore_plan,
};
pub use held_images::{ImageInRegistry, ImageLook, Wanted, look_at_images, prune_images};
pub use host::ssh::{HostKeys, UnknownHost};
pub use images::{push_images, with_hosts_of};
pub use install::{InstallStage, install};
pub use kubeconfig::{Kubeconfig, kubeconfig};
pub use lease::Leasing;
pub use module::{
    Activity, Authority, BackupNote, BackupSeen, Bindings, CONTROL_PLANE, Carried,
    CertificatePlace, CertificateSeen, ClusterSeen, CopiedStore, Draining, Drilled, ETCD,
    EtcdAlarm, Forgotten, HostSeen, KeptSnapshot, LivingNode, LocalData, MemberSeen, MemberState,
    MemberTold, Move, NodeLogins, NodeSeen, OPERATOR, OffsetDateTime, Part, PushedImages,
    Recipients, RegistryCredentials, RestorePhase, Revisions, Rotation, RuntimeChange, Site,
    SnapshotFile, Stand, keys_of, revisions,
};
pub use nodes::{Departure, Parting, Reach, delete_nodes};
pub use restart::{Restarting, restart};
pub use retire::{added, insist_on_versions, left_out};
pub use rotation::{next_rotation, rotate, told as told_of_rotation, under_way};
pub use runtime::told_of_runtime;
pub use session::{Options, Session, Still, Undertaking, dry_run};
pub use snapshot::{
    MissingNote, OnTrust, OtherAuthorities, insist_on_absence, judge_snapshot, left_at_work,
};
pub use upgrade::{
    Emptying, HeldPods, Living, Return, Scope, Told, Unavailable, Way, before_upgrade, judge, look,
    look_back, roll_back, upgrade, way_back,
};
