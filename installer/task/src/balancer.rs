//! What all load balancers in front of the apiservers have in common.

pub(crate) mod hosts;
mod kube_vip;
mod pods;

use std::net::{IpAddr, SocketAddr};

use cluster::Host;
use templates::{Backend, Balancer, BalancerHome};

use crate::Site;
use crate::site::url_address;

pub use hosts::{load_balancer, prove_virtual_addresses};
pub use kube_vip::{kube_vip, kube_vip_pki, kube_vip_role};
pub use pods::{internal_balancer, reach_endpoint};

/// Where a balancer tells its own host how it is. No component of Kubernetes has this port.
pub(crate) const HEALTH_PORT: u16 = 10242;

impl Site {
    /// A balancer to all masters.
    pub(crate) fn balancer(&self, home: BalancerHome, listen: Vec<IpAddr>, ca: &str) -> Balancer {
        let port = self.cluster.spec.control_plane_endpoint.port;
        let backend = |host: &Host| Backend {
            name: host.name.clone(),
            address: format!("{}:{port}", url_address(host)),
        };
        Balancer {
            home,
            listen,
            port,
            backends: self.masters().into_iter().map(backend).collect(),
            ca_file: ca.to_owned(),
            health_port: HEALTH_PORT,
        }
    }

    /// The virtual addresses with the port of the apiservers.
    pub(crate) fn virtual_sockets(&self) -> Vec<SocketAddr> {
        let port = self.cluster.spec.control_plane_endpoint.port;
        let addresses = self.virtual_addresses().into_iter();
        addresses.map(|ip| SocketAddr::new(ip, port)).collect()
    }
}
