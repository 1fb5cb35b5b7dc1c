//! The components of a site, one file each, with what the verbs want of them: what is prepared for it on the operator's machine,
//! how it is set up, how it is proven. A set-up also renews and restarts what has changed, and its plan taken backwards
//! removes it.

mod addons;
mod adopt;
mod balancer;
mod certificates;
mod control_plane;
mod etcd;
mod host;
mod images;
mod leave;
mod network;
mod nodes;
mod operator;
mod os;
mod proof;
mod registry;
mod restart;
mod rotation;
mod runtime;
mod tools;
mod upgrade;

pub use addons::{addons, former_addons};
pub use adopt::{fetch, recognise_authorities, restore};
pub use balancer::{load_balancer, virtual_addresses};
pub use certificates::{certificates, renew_certificates};
pub use control_plane::control_plane;
pub use etcd::{
    etcd, etcd_backup, etcd_defrag, etcd_disarm, etcd_drill, etcd_restore, etcd_status,
};
pub use host::{clocks, hosts, preflight, recognise};
pub use images::images;
pub use leave::{
    drain, forget, given_back, leave_etcd, make_way, note_taken_out, recognise_leaving,
};
pub use network::{network, node_network};
pub use nodes::{nodes, workers};
pub use operator::{prepare, record};
pub use os::os;
pub use proof::{Occasion, proof};
pub use registry::{
    forget_images, learn_image_hosts, look_at_images, push_others, registry, registry_secrets,
};
pub use restart::{ask_restarts, reboots, restart_static_pods};
pub use rotation::rotation;
pub use runtime::{former_runtimes, runtime};
pub use task::{
    Activity, Authority, BackupNote, BackupSeen, Bindings, CONTROL_PLANE, Carried,
    CertificatePlace, CertificateSeen, ClusterSeen, CopiedStore, DeprecatedApi, Draining, Drilled,
    ETCD, EtcdAlarm, EtcdFirst, Forgotten, Guarded, HeldImage, Hop, HopDraining, HostSeen,
    ImagesSeen, KeptSnapshot, LivingNode, LocalData, MemberSeen, MemberState, MemberTold, Move,
    NodeLogins, NodeSeen, OPERATOR, OffsetDateTime, Part, PushedImages, Recipients,
    RegistryCredentials, ReplacedRuntime, Restore, RestorePhase, RestorePlan, Revisions, Rotation,
    RuntimeChange, Site, SiteNames, SnapshotFile, Stand, WebhookSeen, api_answers, authorities,
    binding_files, etcd_of, keys_of, renewal_note, restore_note, revisions, rotation_note,
    under_way,
};
pub use tools::tools;
pub use upgrade::{etcd_first, look, roll_back, snapshot, uncordon};
