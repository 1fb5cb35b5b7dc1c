use crate::Version;

/// The format of kubeadm's own configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubeadmApi {
    V1Beta3,
    V1Beta4,
}

/// How one release line of Kubernetes differs from others, as far as anything is written or started differently for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The newest format that its kubeadm reads.
    pub kubeadm_api: KubeadmApi,
    /// The kubelet is told the sandbox image by a flag.
    pub sandbox_image_flag: bool,
    /// The administrator is of the group `kubeadm:cluster-admins`; `system:masters` is left to the super-administrator.
    pub cluster_admins_group: bool,
    /// The kubelet learns the runtime's endpoint from its configuration, and not from a flag alone.
    pub runtime_endpoint_in_config: bool,
    /// The kubelet refuses hosts with cgroup v1 unless it is told otherwise.
    pub refuses_cgroup_v1: bool,
}

impl Traits {
    #[must_use]
    pub fn of(version: &Version) -> Self {
        let since = |minor: u64| version.minor() >= (1, minor);
        Self {
            kubeadm_api: if since(31) {
                KubeadmApi::V1Beta4
            } else {
                KubeadmApi::V1Beta3
            },
            sandbox_image_flag: !since(35),
            cluster_admins_group: since(29),
            runtime_endpoint_in_config: since(27),
            refuses_cgroup_v1: since(35),
        }
    }
}
