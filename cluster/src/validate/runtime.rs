mod containerd;

use super::Check;
use crate::{Containerd, KeyPath, RuntimeType};

const RUNTIME: &str = "spec.kubernetes.containerRuntime";

pub(super) fn check(check: &mut Check<'_>) {
    let runtime = &check.cluster.spec.kubernetes.container_runtime;
    let nested = KeyPath::of(RUNTIME).key("containerd");
    if runtime.kind != RuntimeType::Containerd && check.sound(&[&format!("{RUNTIME}.type")]) {
        if runtime.containerd != Containerd::default() {
            check.warn(
                nested,
                format!(
                    "these settings are for containerd, and the runtime is {}",
                    runtime.kind
                ),
                None,
            );
        }
        if runtime.kind == RuntimeType::Docker {
            docker(check);
        }
        return;
    }
    containerd::check(check);
    if let (Some(outer), Some(inner)) = (&runtime.version, &runtime.containerd.version)
        && outer != inner
    {
        check.error(
            nested.key("version"),
            format!("containerd is to be {outer} and {inner}"),
            "give the version once".to_owned(),
        );
    }
    let kubernetes = &check.cluster.spec.kubernetes;
    let oldest = kubernetes.traits().oldest_containerd;
    if let Some(asked) = check.cluster.runtime_version()
        && asked.minor() < oldest
        && check.sound(&["spec.kubernetes.version"])
    {
        let path = if runtime.version.is_some() {
            KeyPath::of(RUNTIME)
        } else {
            nested
        };
        let (major, minor) = oldest;
        check.error(
            path.key("version"),
            format!(
                "Kubernetes {} does not support containerd {asked}",
                kubernetes.version
            ),
            format!("take containerd {major}.{minor} or later, or leave the version out"),
        );
    }
}

/// cri-dockerd answers `kubectl exec` only over the older way of streaming.
fn docker(check: &mut Check<'_>) {
    const GATE: &str = "ExtendWebSocketsToKubelet";
    let kubernetes = &check.cluster.spec.kubernetes;
    let off = kubernetes.feature_gates.get(GATE) == Some(&false);
    if kubernetes.traits().websockets_to_kubelet && !off {
        check.warn(
            KeyPath::of(RUNTIME).key("type"),
            format!(
                "with docker, 'kubectl exec' fails in Kubernetes {} unless the feature gate {GATE} is off",
                kubernetes.version
            ),
            format!("add {GATE}: false to spec.kubernetes.featureGates"),
        );
    }
}
