//! What all of Kubernetes' tasks know of the site: its masters, its workers, and where each host finds the apiservers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use camino::Utf8PathBuf;
use cluster::{
    ExternalLoadBalancer, Host, InternalLoadBalancer, KubernetesType, Role, Traits, Version,
};
use step::KeyPairFiles;

use crate::Site;
use crate::kubelet::node_programs;

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
        self.masters().into_iter().next()
    }

    /// The nodes that are workers only.
    pub(crate) fn plain_workers(&self) -> Vec<&Host> {
        let is_master = |host: &&Host| self.cluster.roles_of(&host.name).contains(&Role::Master);
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

    /// Where the name of the control plane leads on this host. None where a DNS of the site's own answers.
    pub(crate) fn endpoint_on(&self, host: &Host) -> Option<IpAddr> {
        let endpoint = &self.cluster.spec.control_plane_endpoint;
        if endpoint.external_dns {
            return None;
        }
        if self.cluster.roles_of(&host.name).contains(&Role::Master) {
            return host.internal_ips().into_iter().next();
        }
        let on_node = matches!(
            endpoint.internal_load_balancer,
            InternalLoadBalancer::Haproxy | InternalLoadBalancer::Nginx
        );
        if on_node && self.cluster.roles_of(&host.name).contains(&Role::Worker) {
            return Some(IpAddr::from([127, 0, 0, 1]));
        }
        let virtual_address = endpoint.lb_address.iter().next();
        let has_virtual = endpoint.external_load_balancer != ExternalLoadBalancer::None
            || endpoint.internal_load_balancer == InternalLoadBalancer::KubeVip;
        let first_master = || self.first_master()?.internal_ips().into_iter().next();
        virtual_address
            .filter(|_| has_virtual)
            .or_else(first_master)
    }
}
