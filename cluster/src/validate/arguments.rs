//! Start arguments that kubexm writes itself.

use super::Check;
use crate::{Component, KeyPath, KubernetesType, Program, flag_gone, plugin_gone};

const KUBELET_ARGS: &str = "spec.kubernetes.kubeletArgs";

/// Arguments of the kubelet that cannot be given twice, or that no version knows any more, with what to do instead.
const KUBELET: &[(&str, &str)] = &[
    (
        "config",
        "set fields of that file under kubeletConfiguration",
    ),
    ("kubeconfig", "remove it"),
    ("bootstrap-kubeconfig", "remove it"),
    (
        "hostname-override",
        "the node's name is the name of its host under spec.hosts",
    ),
    (
        "node-ip",
        "set internalAddress of the host under spec.hosts",
    ),
    ("node-labels", "set labels of the host under spec.hosts"),
    (
        "register-with-taints",
        "set taints of the host under spec.hosts",
    ),
    ("container-runtime", "set containerRuntime.type"),
    ("container-runtime-endpoint", "set containerRuntime.type"),
    (
        "pod-infra-container-image",
        "set the version of pause under spec.versions",
    ),
    ("feature-gates", "set featureGates"),
    ("max-pods", "set maxPods"),
    ("pod-max-pids", "set podPidsLimit"),
    (
        "tls-cert-file",
        "remove it: every node gets a certificate of the cluster's authority",
    ),
    (
        "tls-private-key-file",
        "remove it: every node gets a certificate of the cluster's authority",
    ),
    ("network-plugin", "set network.plugin"),
    ("cni-bin-dir", "remove it: the runtime knows it"),
    ("cni-conf-dir", "remove it: the runtime knows it"),
];

/// Arguments of the control plane without which the cluster does not fit together, with the key that sets them, if any.
const API_SERVER: &[(&str, Option<&str>)] = &[
    ("advertise-address", Some("internalAddress of the host")),
    ("bind-address", None),
    ("client-ca-file", None),
    ("etcd-cafile", None),
    ("etcd-certfile", None),
    ("etcd-keyfile", None),
    ("etcd-servers", Some("spec.etcd")),
    ("feature-gates", Some("spec.kubernetes.featureGates")),
    ("kubelet-certificate-authority", None),
    ("kubelet-client-certificate", None),
    ("kubelet-client-key", None),
    ("proxy-client-cert-file", None),
    ("proxy-client-key-file", None),
    ("requestheader-client-ca-file", None),
    ("secure-port", Some("spec.controlPlaneEndpoint.port")),
    ("service-account-key-file", None),
    ("service-account-signing-key-file", None),
    (
        "service-cluster-ip-range",
        Some("spec.network.kubeServiceCIDR"),
    ),
    ("tls-cert-file", None),
    ("tls-private-key-file", None),
];
const CONTROLLER_MANAGER: &[(&str, Option<&str>)] = &[
    ("allocate-node-cidrs", None),
    ("authentication-kubeconfig", None),
    ("authorization-kubeconfig", None),
    ("client-ca-file", None),
    ("cluster-cidr", Some("spec.network.kubePodsCIDR")),
    ("cluster-signing-cert-file", None),
    ("cluster-signing-key-file", None),
    ("feature-gates", Some("spec.kubernetes.featureGates")),
    ("kubeconfig", None),
    (
        "node-cidr-mask-size",
        Some("spec.kubernetes.nodeCidrMaskSize"),
    ),
    (
        "node-cidr-mask-size-ipv4",
        Some("spec.kubernetes.nodeCidrMaskSize"),
    ),
    ("requestheader-client-ca-file", None),
    ("root-ca-file", None),
    ("service-account-private-key-file", None),
    (
        "service-cluster-ip-range",
        Some("spec.network.kubeServiceCIDR"),
    ),
];
const SCHEDULER: &[(&str, Option<&str>)] = &[
    ("authentication-kubeconfig", None),
    ("authorization-kubeconfig", None),
    ("feature-gates", Some("spec.kubernetes.featureGates")),
    ("kubeconfig", None),
];

pub(super) fn check(check: &mut Check<'_>) {
    kubelet(check);
    let kubernetes = &check.cluster.spec.kubernetes;
    component(check, "apiServer", &kubernetes.api_server, API_SERVER);
    let manager = &kubernetes.controller_manager;
    component(check, "controllerManager", manager, CONTROLLER_MANAGER);
    component(check, "scheduler", &kubernetes.scheduler, SCHEDULER);
    for (key, program, component) in [
        ("apiServer", Program::Apiserver, &kubernetes.api_server),
        ("controllerManager", Program::ControllerManager, manager),
        ("scheduler", Program::Scheduler, &kubernetes.scheduler),
    ] {
        for flag in component.extra_args.keys() {
            gone(check, program, extra_args(key).key(flag), flag);
        }
    }
    plugins(check);
    anonymous(check);
}

/// Where kubeadm runs an apiserver, its kubelet asks it as nobody whether it lives, and so does a node that joins.
fn anonymous(check: &mut Check<'_>) {
    const NAME: &str = "anonymous-auth";
    let kubernetes = &check.cluster.spec.kubernetes;
    let value = kubernetes.api_server.extra_args.get(NAME);
    let is_off = value.is_some_and(|value| matches!(&*value.to_lowercase(), "false" | "f" | "0"));
    if kubernetes.kind == KubernetesType::Kubeadm && is_off {
        check.warn(
            KeyPath::of("spec.kubernetes.apiServer.extraArgs").key(NAME),
            "kubeadm's kubelets restart an apiserver that takes no anonymous requests, and no node can join".to_owned(),
            "set kubernetes.type to kubexm, or let an authentication-config allow them for /livez, /readyz, /healthz and \
             /api/v1/namespaces/kube-public/configmaps/cluster-info alone"
                .to_owned(),
        );
    }
}

fn extra_args(component: &str) -> KeyPath {
    KeyPath::of("spec.kubernetes")
        .key(component)
        .key("extraArgs")
}

/// A program that is started with a flag that it does not know ends at once.
fn gone(check: &mut Check<'_>, program: Program, path: KeyPath, flag: &str) {
    let version = &check.cluster.spec.kubernetes.version;
    let Some(gone) = flag_gone(program, flag, version) else {
        return;
    };
    let name = program.name();
    check.error(
        path,
        format!("{name} {version} does not know --{flag}, and does not start with it"),
        format!(
            "it no longer exists since 1.{}: {}",
            gone.minor, gone.instead
        ),
    );
}

fn plugins(check: &mut Check<'_>) {
    let kubernetes = &check.cluster.spec.kubernetes;
    for flag in ["enable-admission-plugins", "disable-admission-plugins"] {
        let names = kubernetes.api_server.extra_args.get(flag);
        for name in names.into_iter().flat_map(|names| names.split(',')) {
            let version = &kubernetes.version;
            let Some(gone) = plugin_gone(name, version) else {
                continue;
            };
            check.error(
                extra_args("apiServer").key(flag),
                format!("kube-apiserver {version} does not know the admission plugin {name}, and does not start with it"),
                format!("it no longer exists since 1.{}: {}", gone.minor, gone.instead),
            );
        }
    }
}

fn kubelet(check: &mut Check<'_>) {
    let args = &check.cluster.spec.kubernetes.kubelet_args;
    for (at, arg) in args.iter().enumerate() {
        let name = arg.trim_start_matches('-');
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        let owned = KUBELET.iter().find(|(owned, _)| *owned == name);
        if let Some((_, instead)) = owned {
            check.error(
                KeyPath::of(KUBELET_ARGS).index(at),
                format!("--{name} of the kubelet is kubexm's to give"),
                (*instead).to_owned(),
            );
        } else {
            gone(
                check,
                Program::Kubelet,
                KeyPath::of(KUBELET_ARGS).index(at),
                name,
            );
        }
    }
}

fn component(
    check: &mut Check<'_>,
    key: &str,
    component: &Component,
    owned: &[(&str, Option<&str>)],
) {
    for name in component.extra_args.keys() {
        let Some((_, instead)) = owned.iter().find(|(owned, _)| owned == name) else {
            continue;
        };
        check.warn(
            extra_args(key).key(name),
            format!("'{name}' takes the place of what kubexm gives, which the rest of the cluster goes by"),
            instead.map_or_else(
                || "remove it unless you know why it must be so".to_owned(),
                |instead| format!("set {instead} instead"),
            ),
        );
    }
}
