//! One piece of work each: which steps, on which hosts, and what must come before what.

mod adopt;
mod applied;
mod arguments;
mod balancer;
mod check;
mod control_plane;
mod dns;
mod etcd;
mod facts;
mod files;
mod hosts;
mod internal_balancer;
mod kube;
mod kube_pki;
mod kube_proxy;
mod kube_vip;
mod kubeadm;
mod kubeadm_config;
mod kubelet;
mod load_balancer;
#[cfg(test)]
mod minors;
mod network;
mod node_marks;
mod nodes;
mod os;
mod packages;
mod preflight;
mod programs;
mod recognise;
mod registry;
mod renewal;
mod runtime;
mod site;
#[cfg(test)]
mod testing;
mod time;

pub use adopt::{fetch_logins, look_at_authorities, note_found};
pub use applied::note_applied;
pub use check::{
    CONTROL_PLANE, look_at_nodes, prove_apiservers, prove_cluster, prove_etcd, prove_hosts,
    prove_network,
};
pub use control_plane::{
    after_control_plane, after_etcd, cluster_roles, control_plane_files, control_plane_services,
};
pub use dns::cluster_dns;
pub use etcd::{etcd_members, etcd_pki};
pub use hosts::look_at_hosts;
pub use internal_balancer::{internal_balancer, reach_endpoint};
pub use kube_pki::kube_pki;
pub use kube_vip::{kube_vip, kube_vip_pki, kube_vip_role};
pub use kubeadm::{kubeadm_masters, kubeadm_workers};
pub use load_balancer::{load_balancer, prove_virtual_addresses};
pub use network::{network_plugin, node_network, pod_network};
pub use node_marks::node_marks;
pub use nodes::{master_nodes, worker_nodes};
pub use os::{host_files, kernel};
pub use packages::packages;
pub use preflight::survey;
pub use programs::unpack;
pub use recognise::recognise;
pub use registry::{
    import_images, prove_images, prove_registry, push_images, registry_pki, registry_service,
    roll_pods,
};
pub use renewal::renew_certificates;
pub use runtime::containerd;
pub use site::{OPERATOR, Site};
pub use step::{Activity, Carried, HostSeen, NodeSeen, RegistryCredentials, api_answers};
pub use time::{prove_time, time};
