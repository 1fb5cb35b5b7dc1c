use super::Check;
use crate::{KeyPath, RuntimeType};

const RUNTIME: &str = "spec.kubernetes.containerRuntime";

pub(super) fn check(check: &mut Check<'_>) {
    let runtime = &check.cluster.spec.kubernetes.container_runtime;
    let nested = KeyPath::of(RUNTIME).key("containerd");
    if runtime.kind != RuntimeType::Containerd && check.sound(&[&format!("{RUNTIME}.type")]) {
        if check.written(&format!("{RUNTIME}.containerd")) {
            check.warn(
                nested,
                format!(
                    "these settings are for containerd, and the runtime is {}",
                    runtime.kind
                ),
                None,
            );
        }
        return;
    }
    if let (Some(outer), Some(inner)) = (&runtime.version, &runtime.containerd.version)
        && outer != inner
    {
        check.error(
            nested.key("version"),
            format!("containerd is to be {outer} and {inner}"),
            "give the version once".to_owned(),
        );
    }
    let kubernetes = &check.cluster.spec.kubernetes.version;
    let old = check
        .cluster
        .runtime_version()
        .is_some_and(|version| version.semver().major < 2);
    if old && kubernetes.minor() >= (1, 36) && check.sound(&["spec.kubernetes.version"]) {
        let path = if runtime.version.is_some() {
            KeyPath::of(RUNTIME)
        } else {
            nested
        };
        check.warn(
            path.key("version"),
            format!("Kubernetes {kubernetes} does not support containerd 1.x"),
            "take containerd 2".to_owned(),
        );
    }
}
