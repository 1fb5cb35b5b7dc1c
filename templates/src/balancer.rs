use std::net::IpAddr;

use serde::Serialize;

use crate::template;

/// An apiserver behind a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    pub name: String,
    /// With its port; in brackets if it is IPv6.
    pub address: String,
}

/// Where a load balancer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BalancerHome {
    /// As a service of the distribution, which begins as root.
    Host,
    /// In a pod, without any rights.
    Pod,
}

/// What every load balancer in front of the apiservers is told.
#[derive(Clone, Debug, Serialize)]
pub struct Balancer {
    pub home: BalancerHome,
    /// Where it listens.
    pub listen: Vec<IpAddr>,
    pub port: u16,
    pub backends: Vec<Backend>,
    /// The authority of the apiservers: nobody else passes for one.
    pub ca_file: String,
    /// Where it tells over plain HTTP, on loopback alone, whether it has an apiserver to lead to.
    pub health_port: u16,
}

/// `haproxy.cfg`.
#[derive(Clone, Debug, Serialize)]
pub struct HaproxyConfig {
    #[serde(flatten)]
    pub balancer: Balancer,
}
template!(HaproxyConfig, "haproxy.cfg.j2");

/// `nginx.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct NginxConfig {
    #[serde(flatten)]
    pub balancer: Balancer,
    /// The name that the apiservers' certificates bear.
    pub server_name: String,
}
template!(NginxConfig, "nginx.conf.j2");

/// `keepalived.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct KeepalivedConfig {
    pub name: String,
    pub interface: String,
    pub router_id: u8,
    pub priority: u8,
    /// How much of its priority a host loses whose balancer leads nowhere: more than any two hosts are apart.
    pub penalty: u8,
    /// None where VRRP goes over IPv6: its version 3 knows no passwords.
    pub password: Option<String>,
    pub source: IpAddr,
    pub peers: Vec<IpAddr>,
    /// Of the family that VRRP goes over.
    pub addresses: Vec<String>,
    /// Of the other one: they move along.
    pub further_addresses: Vec<String>,
    pub check: String,
}
template!(KeepalivedConfig, "keepalived.conf.j2");

/// What keepalived asks the balancer of its host with.
#[derive(Clone, Debug, Serialize)]
pub struct BalancerCheck {
    pub health_port: u16,
}
template!(BalancerCheck, "balancer-check.sh.j2");

/// The program in the pod of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BalancerProgram {
    Haproxy,
    Nginx,
}

/// The static pod of a worker's own load balancer.
#[derive(Clone, Debug, Serialize)]
pub struct BalancerPod {
    pub program: BalancerProgram,
    pub image: String,
    /// The folder on the host with the configuration.
    pub dir: String,
    pub config: String,
    /// Of the configuration: the kubelet makes the pod anew when it changes.
    pub digest: String,
    pub health_port: u16,
}
template!(BalancerPod, "balancer-pod.yaml.j2");

/// The static pod of kube-vip on a master.
#[derive(Clone, Debug, Serialize)]
pub struct KubeVipPod {
    pub image: String,
    pub interface: String,
    pub addresses: Vec<IpAddr>,
    pub port: u16,
    pub node: String,
    pub kubeconfig: String,
    /// Of the kubeconfig: the kubelet makes the pod anew when it changes. The pod itself keeps the file that it began with.
    pub digest: String,
}
template!(KubeVipPod, "kube-vip.yaml.j2");

/// What kube-vip may do: keep the lease that says who holds the virtual address.
#[derive(Clone, Debug, Serialize)]
pub struct KubeVipRole {
    pub user: String,
}
template!(KubeVipRole, "kube-vip-role.yaml.j2");
