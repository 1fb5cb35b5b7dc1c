//! One piece of work each: which steps, on which hosts, and what must come before what.

mod addons;
mod adopt;
mod applied;
mod balancer;
mod certificates;
mod check;
mod control_plane;
mod dns;
mod etcd;
mod files;
mod held_images;
mod hosts;
mod images;
mod images_of_others;
mod kept_keys;
mod kube;
mod kubeadm;
#[cfg(test)]
mod minors;
mod network;
mod nodes;
mod os;
mod preflight;
mod programs;
mod recognise;
mod registries;
mod registry;
mod restart;
mod rotation;
mod runtime;
mod site;
#[cfg(test)]
mod testing;
mod tools;
mod upgrade;

pub use addons::{addon_services, addons, former_addons, prove_addons};
pub use adopt::{fetch_logins, look_at_authorities, note_found};
pub use applied::note_applied;
pub use balancer::{
    internal_balancer, kube_vip, kube_vip_pki, kube_vip_role, load_balancer,
    prove_virtual_addresses, reach_endpoint,
};
pub use certificates::{
    after_store, await_store, begin_renewal, bring_certificates, bring_registry_certificate,
    end_renewal, look_at_certificates, renewal_note, restart_control_plane, restart_nodes,
    sign_kubelet_clients,
};
pub use check::{
    CONTROL_PLANE, look_at_nodes, prove_apiservers, prove_cluster, prove_etcd, prove_hosts,
    prove_network,
};
pub use control_plane::{
    after_control_plane, after_etcd, cluster_roles, control_plane_files, control_plane_services,
    kube_pki, renew_certificates,
};
pub use dns::{cluster_dns, former_node_local_dns, node_local_dns};
pub use etcd::{
    ETCD, RestorePlan, back_up, backups_of_pods, backups_of_services, binding_files, core_of,
    defragment, disarm_alarms, drill, end_restore, etcd_alerts, etcd_members, etcd_of, etcd_pki,
    halt, keys_of, look_at_members, prepare_restore, restore_note, revisions, seal_keys,
    start_control_plane, start_members, start_nodes, swap,
};
pub use held_images::{Forgotten, ImagesSeen, forget_images, list_held_images, list_used_images};
pub use hosts::look_at_hosts;
pub use images::{import_images, prove_images, prove_registry, push_images, roll_pods};
pub use images_of_others::{PushedImages, learn_image_hosts, push_others};
pub use kept_keys::keep_keys;
pub use kubeadm::{etcd_first, kubeadm_masters, kubeadm_workers};
pub use network::{network_plugin, node_network, pod_network};
pub use nodes::{
    delete_nodes, drain, forget_taken_out, leave_etcd, master_nodes, node_marks, note_taken_out,
    worker_nodes,
};
pub use os::{host_files, kernel, packages, prove_time, time};
pub use preflight::{compare_clocks, survey};
pub use programs::unpack;
pub use recognise::{recognise, recognise_these};
pub use registry::{ask_registry, registry_pki, registry_service};
pub use restart::{Draining, Part, ask_restarts, reboot, restart_static_pods, spare};
pub use rotation::{
    Authority, Rotation, authorities, begin_rotation, bring_authorities, bring_signed,
    end_rotation, noted, prove_successors, restart_masters, restart_members, rotation_note,
    take_move, tell_clients, under_way,
};
pub use runtime::classes::runtime_classes;
pub use runtime::{ReplacedRuntime, RuntimeSeen, container_runtime, former_runtimes};
pub use site::{NodeLogins, OPERATOR, Site};
pub use step::{
    Activity, BackupNote, BackupSeen, Bindings, Carried, CertificatePlace, CertificateSeen,
    ClusterSeen, CopiedStore, DeprecatedApi, Drilled, EtcdAlarm, Guarded, HeldImage, HostSeen,
    KeptSnapshot, LivingNode, LocalData, MemberSeen, MemberState, MemberTold, Move, NodeSeen,
    OffsetDateTime, Recipients, RegistryCredentials, Restore, RestorePhase, Revisions,
    RuntimeChange, SiteNames, SnapshotFile, SnapshotName, WebhookSeen, api_answers,
};
pub use tools::tools;
pub use upgrade::{
    EtcdFirst, Hop, HopDraining, Stand, keep_snapshot, look_at_cluster, roll_back, uncordon_all,
};
