mod containerd;

use super::Check;
use crate::{Containerd, ImageHome, KeyPath, Role, RuntimeType};

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
        needs_a_registry(check);
        match runtime.kind {
            RuntimeType::Docker => docker(check),
            RuntimeType::CriO => crio(check),
            RuntimeType::Containerd => {}
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

/// Only containerd takes images from files, and from any but one registry that kubexm has set up.
fn needs_a_registry(check: &mut Check<'_>) {
    let kind = check.cluster.spec.kubernetes.container_runtime.kind;
    let of_type = KeyPath::of(RUNTIME).key("type");
    if check.cluster.spec.registry.read_only_port.is_some() {
        check.error(
            KeyPath::of("spec.registry.readOnlyPort"),
            format!("nodes with {kind} pull with the account that pushes"),
            "leave it out, or take containerd".to_owned(),
        );
    }
    let auths = &check.cluster.spec.registry.auths;
    if let Some(host) = auths.iter().find(|(_, auth)| auth.on_nodes).map(|it| it.0) {
        check.error(
            KeyPath::of("spec.registry.auths").key(host).key("onNodes"),
            format!("nodes with {kind} ask the site's registry alone"),
            "leave it out, or take containerd".to_owned(),
        );
    }
    let hosts = check.sound(&["spec.hosts", "spec.roleGroups"]);
    if !hosts || check.cluster.hosts_in(Role::Master).is_empty() {
        return;
    }
    match check.cluster.image_home() {
        ImageHome::Nodes => check.error(
            of_type,
            format!(
                "nodes with {kind} get their images from the site's registry, and the site has none"
            ),
            "name a host in spec.roleGroups.registry, or take containerd".to_owned(),
        ),
        ImageHome::External => check.error(
            of_type,
            format!("nodes with {kind} get their images from a registry that kubexm sets up, and spec.registry.type is external"),
            "take containerd, or registry.type: registry".to_owned(),
        ),
        ImageHome::Hosts(several) if several.len() > 1 => check.error(
            of_type,
            format!("nodes with {kind} ask one registry, and spec.roleGroups.registry has {}", several.len()),
            "name one host there, or take containerd".to_owned(),
        ),
        ImageHome::Hosts(_) => {}
    }
}

/// CRI-O of one minor speaks with kubelets of the same.
fn crio(check: &mut Check<'_>) {
    let kubernetes = &check.cluster.spec.kubernetes;
    let sound = check.sound(&["spec.kubernetes.version"]);
    if let Some(asked) = check.cluster.runtime_version()
        && sound
        && asked.minor() != kubernetes.version.minor()
    {
        let (major, minor) = kubernetes.version.minor();
        check.error(
            check.cluster.runtime_version_key(),
            format!(
                "CRI-O {asked} does not go with Kubernetes {}: their minors must be the same",
                kubernetes.version
            ),
            format!("take CRI-O {major}.{minor}, or leave the version out"),
        );
    }
    set_elsewhere(check, "crio", &["crio", "root"], "crio.dataDir");
}

/// A setting that has a key of its own.
fn set_elsewhere(check: &mut Check<'_>, section: &str, path: &[&str], key: &str) {
    let runtime = &check.cluster.spec.kubernetes.container_runtime;
    let config = match runtime.kind {
        RuntimeType::Docker => &runtime.docker.config,
        RuntimeType::CriO => &runtime.crio.config,
        RuntimeType::Containerd => return,
    };
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let value = config.get(*first);
    let value = rest.iter().fold(value, |value, key| value?.get(*key));
    if value.is_some() {
        let at = KeyPath::of(RUNTIME).key(section).key("config");
        let at = path.iter().fold(at, |at, part| at.key(part));
        check.error(
            at,
            format!("{} has a key of its own", path.join(".")),
            format!("set {key} instead"),
        );
    }
}

/// cri-dockerd answers `kubectl exec` only over the older way of streaming.
fn docker(check: &mut Check<'_>) {
    const GATE: &str = "ExtendWebSocketsToKubelet";
    set_elsewhere(
        check,
        "docker",
        &["data-root"],
        "spec.registry.dockerDataDir",
    );
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
