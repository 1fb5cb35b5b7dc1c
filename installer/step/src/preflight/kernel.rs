//! Whether a host's kernel can do what is wanted of it.

use host::{Cgroup, Facts};

use super::judge::release;
use super::{Finding, Requirements};

/// What becomes of Kubernetes on a host with cgroup v1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupV1 {
    #[default]
    Works,
    /// The kubelet does not start.
    EndsKubelet,
    /// The kubelet starts, as it was told to, and kubeadm does not.
    EndsKubeadm,
}

/// The oldest kernel that something works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelSince {
    pub release: (u32, u32),
    pub of: &'static str,
    /// What to do, beside taking a newer kernel.
    pub or: &'static str,
}

pub(super) fn judge(wanted: &Requirements, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = judge_cgroup(wanted, facts).into_iter().collect();
    let own = release(&facts.kernel);
    let old = wanted.kernels.iter().filter(|kernel| own < kernel.release);
    findings.extend(old.map(
        |KernelSince {
             release: (major, minor),
             of,
             or,
         }| {
            let kernel = &facts.kernel;
            Finding::new(
                format!("its kernel is {kernel}, and {of} asks for {major}.{minor} or newer"),
                format!("boot a newer kernel, or {or}"),
            )
        },
    ));
    findings
}

fn judge_cgroup(wanted: &Requirements, facts: &Facts) -> Option<Finding> {
    if facts.cgroup == Cgroup::V2 {
        return None;
    }
    let v2 =
        "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1 on the kernel's command line)";
    let version = &wanted.kubernetes;
    match wanted.cgroup_v1 {
        CgroupV1::Works => None,
        CgroupV1::EndsKubelet => Some(Finding::new(
            format!("it has cgroup v1, and the kubelet of {version} does not start there"),
            format!("{v2}, or set spec.kubernetes.kubeletConfiguration: {{failCgroupV1: false}}"),
        )),
        CgroupV1::EndsKubeadm => Some(Finding::new(
            format!("it has cgroup v1, and the kubeadm of {version} refuses that"),
            format!("{v2}, or set spec.kubernetes.ignorePreflightErrors: [SystemVerification]"),
        )),
    }
}
