//! The pods' network, and the hosts' links.

mod await_pods;
pub(crate) mod find_link;
mod look_at_node;
mod node_networks;
mod pod_network;
pub(crate) mod prepare_vrrp;
mod remove_pod_network;
mod spare_interfaces;

pub use await_pods::AwaitNetwork;
pub use find_link::{FindLink, Link};
pub use look_at_node::{LookAtNodeNetwork, NodeObstacles};
pub use node_networks::{AskNodeNetworks, NodeNetwork};
pub use pod_network::PodNetwork;
pub use prepare_vrrp::{PrepareVrrp, Vrrp};
pub use remove_pod_network::{PodNetworkTraces, RemovePodNetwork};
pub use spare_interfaces::SpareInterfaces;
