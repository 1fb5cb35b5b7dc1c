//! What this version of Kubernetes and its way to services ask of kernel and routes.

use cluster::{KubernetesType, ProxyMode};
use step::{CgroupV1, KernelSince, Requirements};

use crate::Site;
use crate::preflight::facts::NFTABLES_KERNEL;

/// The check by which kubeadm refuses kernels and cgroups.
const SYSTEM_VERIFICATION: &str = "SystemVerification";

/// A kubelet renews its own while it is let in.
const OF_KUBELET: &[&str] = &["/var/lib/kubelet/pki/kubelet-client-current.pem"];
/// Kubeadm has signed the others on each master.
const OF_KUBEADM: &[&str] = &[
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/etc/kubernetes/",
];

/// What this version of Kubernetes and its way to services ask of kernel and routes.
pub(super) fn of_kubernetes(site: &Site, wanted: &mut Requirements) {
    let (spec, traits) = (&site.cluster.spec, site.traits());
    let kubernetes = &spec.kubernetes;
    let settings = &kubernetes.kubelet_configuration;
    let by_kubeadm = kubernetes.kind == KubernetesType::Kubeadm;
    let ignored = &kubernetes.ignore_preflight_errors;
    let judges = by_kubeadm
        && !ignored
            .iter()
            .any(|name| name == SYSTEM_VERIFICATION || name == "all");
    let told = settings
        .get("failCgroupV1")
        .and_then(serde_json::Value::as_bool);
    wanted.cgroup_v1 = match told {
        Some(true) => CgroupV1::EndsKubelet,
        None if traits.refuses_cgroup_v1 => CgroupV1::EndsKubelet,
        Some(false) | None if traits.refuses_cgroup_v1 && judges => CgroupV1::EndsKubeadm,
        Some(false) | None => CgroupV1::Works,
    };
    if judges && let Some(release) = traits.kubeadm_kernel {
        wanted.kernels.push(KernelSince {
            release,
            of: "kubeadm",
            or: "set spec.kubernetes.ignorePreflightErrors: [SystemVerification]",
        });
    }
    let services = spec.network.kube_service_cidr.iter();
    match kubernetes.proxy_mode() {
        // Every node has the addresses of services itself.
        ProxyMode::Ipvs => {}
        ProxyMode::Iptables => wanted.routed.extend(services.map(cluster::Cidr::net)),
        ProxyMode::Nftables => {
            wanted.routed.extend(services.map(cluster::Cidr::net));
            wanted.kernels.push(NFTABLES_KERNEL);
        }
    }
    wanted.certificates = match kubernetes.kind {
        KubernetesType::Kubeadm => OF_KUBEADM,
        KubernetesType::Kubexm => OF_KUBELET,
    };
    wanted.forwards_v6 = spec.network.kube_pods_cidr.v6.is_some();
}
