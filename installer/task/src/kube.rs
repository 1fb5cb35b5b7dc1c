//! What all of Kubernetes' tasks know of the site: its masters, its workers, and where each host finds the apiservers.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use camino::Utf8PathBuf;
use cluster::{
    ExternalLoadBalancer, Host, InternalLoadBalancer, KubernetesType, Role, Traits, Version,
};
use step::{Content, FOUNDATION, FileAttrs, KeyPairFiles, UploadFile};
use templates::BalancerProgram;

use crate::Site;
use crate::nodes::kubelet::node_programs;

/// Where kubeadm has the certificates of Kubernetes, and so everybody.
pub(crate) const PKI: &str = "/etc/kubernetes/pki";
/// Where the kubelet finds the pods that it runs by itself.
pub(crate) const MANIFESTS: &str = "/etc/kubernetes/manifests";
pub(crate) const KUBERNETES: &str = "/etc/kubernetes";

/// What a master of plain binaries runs beside what every node runs.
const CONTROL_PLANE_PROGRAMS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

impl Site {
    pub(crate) fn masters(&self) -> Vec<&Host> {
        self.cluster.hosts_in(Role::Master)
    }

    /// The master that begins the cluster, and on which everything that is done once is done.
    pub(crate) fn first_master(&self) -> Option<&Host> {
        self.cluster.first_in(Role::Master)
    }

    /// The nodes that are workers only.
    pub(crate) fn plain_workers(&self) -> Vec<&Host> {
        let is_master = |host: &&Host| self.cluster.is_in(&host.name, Role::Master);
        let workers = self.cluster.hosts_in(Role::Worker).into_iter();
        workers.filter(|host| !is_master(host)).collect()
    }

    /// The programs of Kubernetes that go onto this host.
    pub(crate) fn kubernetes_components_on(&self, host: &Host) -> Vec<&'static str> {
        let kind = self.cluster.spec.kubernetes.kind;
        let roles = self.cluster.roles_of(&host.name);
        let is_master = roles.contains(&Role::Master);
        let mut components = Vec::new();
        if is_master || roles.contains(&Role::Worker) {
            components.extend(node_programs(kind));
            components.extend((kind == KubernetesType::Kubexm).then_some("kube-proxy"));
        }
        if is_master && kind == KubernetesType::Kubexm {
            components.extend(CONTROL_PLANE_PROGRAMS);
        }
        components
    }

    /// The same of all hosts.
    pub(crate) fn kubernetes_components(&self) -> BTreeSet<&'static str> {
        let hosts = self.cluster.spec.hosts.iter();
        hosts
            .flat_map(|host| self.kubernetes_components_on(host))
            .collect()
    }

    /// The version that the bundle holds; `missing()` has compared it with what the config asks for.
    pub(crate) fn kubernetes_version(&self) -> &Version {
        &self.cluster.spec.kubernetes.version
    }

    pub(crate) fn traits(&self) -> Traits {
        Traits::of(self.kubernetes_version())
    }

    /// What a master keeps of how its cluster was begun; preflight compares it with the config.
    pub(crate) fn foundation(&self) -> UploadFile {
        let kept = self.cluster.foundation().into_iter();
        let lines: Vec<String> = kept.map(|(key, value)| format!("{key}: {value}")).collect();
        UploadFile {
            path: FOUNDATION.into(),
            content: Content::Text(lines.join("\n") + "\n"),
            attrs: FileAttrs::root(0o644),
        }
    }

    /// A key pair of Kubernetes on the operator's machine.
    pub(crate) fn kubernetes_files(&self, name: &str) -> KeyPairFiles {
        KeyPairFiles::at(self.tree.certs("kubernetes").join(name))
    }

    /// The administrator's kubeconfig on the operator's machine.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> Utf8PathBuf {
        self.tree.certs("kubernetes").join("admin.conf")
    }

    /// `https://lb.kubexm.local:6443`, the same on every host; where the name leads is each host's own.
    #[must_use]
    pub fn apiserver_url(&self) -> String {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        format!("https://{}:{}", endpoint.domain, endpoint.port)
    }

    /// Where the name of the control plane leads on this host: IPv4 first, and no family that the host has no address of.
    /// Nowhere if a DNS of the site's own answers.
    pub(crate) fn endpoint_on(&self, host: &Host) -> Vec<IpAddr> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        if endpoint.external_dns {
            return Vec::new();
        }
        let roles = self.cluster.roles_of(&host.name);
        if roles.contains(&Role::Master) {
            return host.internal_ips();
        }
        if self.internal_balancer_kind().is_some() && roles.contains(&Role::Worker) {
            return loopback(host);
        }
        let there = match self.virtual_addresses() {
            none if none.is_empty() => self.first_master().map_or(none, Host::internal_ips),
            some => some,
        };
        let own = host.internal_ips();
        let reachable = |ip: &IpAddr| own.iter().any(|own| own.is_ipv4() == ip.is_ipv4());
        let (reachable, other): (Vec<_>, Vec<_>) = there.into_iter().partition(reachable);
        if reachable.is_empty() {
            other
        } else {
            reachable
        }
    }

    /// The addresses in front of the masters that move between hosts, or belong to a balancer of the site's own.
    pub(crate) fn virtual_addresses(&self) -> Vec<IpAddr> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        let used = endpoint.external_load_balancer != ExternalLoadBalancer::None
            || endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip;
        endpoint.lb_address.iter().filter(|_| used).collect()
    }

    /// The balancer that each plain worker runs for itself.
    pub(crate) fn internal_balancer_kind(&self) -> Option<BalancerProgram> {
        match self
            .cluster
            .spec
            .control_plane_endpoint
            .internal_load_balancer
        {
            InternalLoadBalancer::Haproxy => Some(BalancerProgram::Haproxy),
            InternalLoadBalancer::Nginx => Some(BalancerProgram::Nginx),
            InternalLoadBalancer::None | InternalLoadBalancer::KubeVip => None,
        }
    }
}

/// The loopback addresses of the families that a host has.
pub(crate) fn loopback(host: &Host) -> Vec<IpAddr> {
    let v6 = host.internal_v6().map(|_| Ipv6Addr::LOCALHOST.into());
    [Ipv4Addr::LOCALHOST.into()].into_iter().chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use artifact::{Contents, Tree};

    use super::*;

    /// Where the name leads on a master, a worker and a host that is neither.
    fn leads(endpoint: &str) -> [String; 3] {
        let text = format!(
            "apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts:
    - {{name: m1, address: 10.0.0.1, internalAddress: \"10.0.0.1,fd00::1\"}}
    - {{name: m2, address: 10.0.0.2, internalAddress: \"10.0.0.2,fd00::2\"}}
    - {{name: w, address: 10.0.0.3, internalAddress: \"10.0.0.3,fd00::3\"}}
    - {{name: e, address: 10.0.0.4}}
  roleGroups: {{etcd: [e], master: [m1, m2], worker: [m2, w]{endpoint}
"
        );
        let cluster = cluster::parse("config.yaml", &text).unwrap().cluster;
        let contents = Contents::new("c", "0.1.0");
        let site = Site::new(cluster, contents, Tree::at("/srv/.kubexm/c"), None);
        ["m2", "w", "e"].map(|name| {
            let addresses = site.endpoint_on(site.cluster.host(name).unwrap());
            let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            texts.join(" ")
        })
    }

    const ENDPOINT: &str = "}\n  controlPlaneEndpoint: ";

    #[test]
    fn masters_come_to_themselves_and_others_to_what_is_in_front_of_the_masters() {
        let vip = "lb_address: \"10.0.0.100,fd00::100\"";
        let v4 = "lb_address: 10.0.0.100";
        let master = "10.0.0.2 fd00::2";
        let balancers = ", loadbalancer: [e]";
        let cases = [
            (
                format!("{ENDPOINT}{{internalLoadbalancer: haproxy}}"),
                [master, "127.0.0.1 ::1", "10.0.0.1"],
            ),
            (
                format!("{ENDPOINT}{{internalLoadbalancer: nginx}}"),
                [master, "127.0.0.1 ::1", "10.0.0.1"],
            ),
            (
                format!("{ENDPOINT}{{internalLoadbalancer: kube-vip, {vip}}}"),
                [master, "10.0.0.100 fd00::100", "10.0.0.100"],
            ),
            (
                format!("{balancers}{ENDPOINT}{{externalLoadBalancer: kubexm, {v4}}}"),
                [master, "10.0.0.100", "10.0.0.100"],
            ),
            (
                format!("{ENDPOINT}{{externalLoadBalancer: external, {vip}}}"),
                [master, "10.0.0.100 fd00::100", "10.0.0.100"],
            ),
            (format!("{ENDPOINT}{{externalDNS: true}}"), ["", "", ""]),
        ];
        for (endpoint, wanted) in cases {
            assert_eq!(leads(&endpoint), wanted, "{endpoint}");
        }
    }
}
