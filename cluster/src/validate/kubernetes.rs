use serde_json::Value;

use super::Check;
use crate::gates::{self, Gate};
use crate::traits::first_minor;
use crate::{KeyPath, Kubernetes, ModeSupport, ProxyMode, Traits, Version, removed};

const VERSION: &str = "spec.kubernetes.version";
const PROXY: &str = "spec.kubernetes.proxyMode";
const GATES: &str = "spec.kubernetes.featureGates";
const KUBELET: &str = "spec.kubernetes.kubeletConfiguration";
const KUBE_PROXY: &str = "spec.kubernetes.kubeProxyConfiguration";

pub(super) fn check(check: &mut Check<'_>) {
    foreign_headers(check);
    if !check.sound(&[VERSION]) {
        return;
    }
    let kubernetes = &check.cluster.spec.kubernetes;
    let version = &kubernetes.version;
    if !version.semver().build.is_empty() {
        check.error(
            KeyPath::of(VERSION),
            format!("Kubernetes releases no {version}"),
            format!(
                "builds of others cannot be had: write {}.{}.{}",
                version.semver().major,
                version.semver().minor,
                version.semver().patch
            ),
        );
    } else if version.semver().major > Kubernetes::OLDEST_VERSION.semver().major {
        check.error(
            KeyPath::of(VERSION),
            format!("there is no Kubernetes {version}"),
            "all of its releases begin with 1".to_owned(),
        );
    } else if *version < Kubernetes::OLDEST_VERSION {
        check.error(
            KeyPath::of(VERSION),
            format!("Kubernetes {version} is too old"),
            format!(
                "the oldest that can be installed is {}",
                Kubernetes::OLDEST_VERSION
            ),
        );
    }
    same_release(check, version);
    written_gates(check, kubernetes);
    unread_keys(check, kubernetes);
    proxy_mode(check, kubernetes);
}

/// All of Kubernetes is of one version: the bundle and the order of an installation rely on it.
fn same_release(check: &mut Check<'_>, version: &Version) {
    for name in Kubernetes::RELEASED_TOGETHER {
        let Some(asked) = check.cluster.spec.versions.get(*name) else {
            continue;
        };
        if asked.as_version().as_ref() != Some(version) {
            check.error(
                KeyPath::of("spec.versions").key(name),
                format!("{name} is to be {asked}, and Kubernetes is {version}"),
                "all of Kubernetes has one version, spec.kubernetes.version: remove this one"
                    .to_owned(),
            );
        }
    }
}

fn written_gates(check: &mut Check<'_>, kubernetes: &Kubernetes) {
    let of = |settings: Option<&Value>| -> Vec<String> {
        let gates = settings.and_then(Value::as_object);
        gates
            .into_iter()
            .flat_map(|gates| gates.keys().cloned())
            .collect()
    };
    let proxy = kubernetes.kube_proxy_configuration.as_ref();
    let written = [
        (
            KeyPath::of(GATES),
            kubernetes.feature_gates.keys().cloned().collect(),
        ),
        (
            KeyPath::of(KUBELET).key("featureGates"),
            of(kubernetes.kubelet_configuration.get("featureGates")),
        ),
        (
            KeyPath::of(KUBE_PROXY).key("featureGates"),
            of(proxy.and_then(|proxy| proxy.other.get("featureGates"))),
        ),
    ];
    for (path, gates) in written {
        for gate in gates {
            judge_gate(check, path.key(&gate), &gate, &kubernetes.version);
        }
    }
}

fn judge_gate(check: &mut Check<'_>, path: KeyPath, gate: &str, version: &Version) {
    let hint = match gates::gate(gate, version) {
        Gate::Known => return,
        Gate::Gone(since) => format!("it no longer exists since 1.{since}: remove it"),
        Gate::NotYet(since) => {
            format!("it came with 1.{since}: remove it, or take a later version")
        }
        // What is newer than the lists may have gates that they do not name.
        Gate::Unheard if version.minor() > (1, gates::NEWEST) => return,
        Gate::Unheard => {
            return check.warn(
                path,
                format!("no Kubernetes that kubexm knows has the feature gate {gate}: with an unknown one it does not start"),
                "look at the spelling".to_owned(),
            );
        }
    };
    check.error(
        path,
        format!(
            "Kubernetes {version} does not know the feature gate {gate}, and does not start with it"
        ),
        hint,
    );
}

/// Keys that the kubelet or kube-proxy of this version does not read: it says so in its log and goes on.
fn unread_keys(check: &mut Check<'_>, kubernetes: &Kubernetes) {
    let version = &kubernetes.version;
    let proxy = kubernetes.kube_proxy_configuration.as_ref();
    let kubelet = kubernetes.kubelet_configuration.keys();
    let kubelet = kubelet.map(|key| (KUBELET, key, removed::kubelet_key_since(key, version)));
    let proxy = proxy.into_iter().flat_map(|proxy| proxy.other.keys());
    let proxy = proxy.map(|key| (KUBE_PROXY, key, removed::proxy_key_since(key, version)));
    for (path, key, since) in kubelet.chain(proxy) {
        let Some(since) = since else { continue };
        check.warn(
            KeyPath::of(path).key(key),
            format!("Kubernetes {version} does not read '{key}': it came with 1.{since}"),
            "remove it, or take a later version".to_owned(),
        );
    }
}

fn proxy_mode(check: &mut Check<'_>, kubernetes: &Kubernetes) {
    let (mode, traits) = (kubernetes.proxy_mode(), kubernetes.traits());
    let (support, first) = match mode {
        ProxyMode::Iptables => (ModeSupport::Yes, None),
        ProxyMode::Ipvs => (traits.ipvs, None),
        ProxyMode::Nftables => (
            traits.nftables,
            first_minor(|traits: &Traits| traits.nftables == ModeSupport::Yes),
        ),
    };
    if kubernetes.proxy_mode.is_some() {
        supported(check, kubernetes, mode, support, first);
    }
    if kubernetes.masquerade_all && mode != ProxyMode::Iptables && check.sound(&[PROXY]) {
        check.warn(
            KeyPath::of("spec.kubernetes.masqueradeAll"),
            format!(
                "masqueradeAll is for proxyMode: iptables alone, and it is {}",
                mode.name()
            ),
            None,
        );
    }
}

fn supported(
    check: &mut Check<'_>,
    kubernetes: &Kubernetes,
    mode: ProxyMode,
    support: ModeSupport,
    first: Option<u64>,
) {
    let (name, version, path) = (mode.name(), &kubernetes.version, KeyPath::of(PROXY));
    let instead = match first {
        Some(minor) => format!("take iptables, or Kubernetes 1.{minor} or later"),
        None => "take nftables (Linux 5.13 or later) or iptables".to_owned(),
    };
    match support {
        ModeSupport::Yes => {}
        ModeSupport::Gated(gate) if kubernetes.feature_gates.get(gate) == Some(&true) => {}
        ModeSupport::Gated(gate) => check.error(
            path,
            format!("kube-proxy of Kubernetes {version} has the mode {name} only behind the feature gate {gate}"),
            format!("{instead}; or add {gate}: true to featureGates"),
        ),
        ModeSupport::No => check.error(
            path,
            format!("kube-proxy of Kubernetes {version} has no mode {name}"),
            instead,
        ),
        ModeSupport::Deprecated => check.warn(
            path,
            format!("the mode {name} is deprecated in Kubernetes {version}"),
            "nftables takes its place, on Linux 5.13 or later; iptables works everywhere".to_owned(),
        ),
    }
}

/// The passthroughs are parts of a document of which the rest is kubexm's.
fn foreign_headers(check: &mut Check<'_>) {
    let kubernetes = &check.cluster.spec.kubernetes;
    let proxy = kubernetes.kube_proxy_configuration.as_ref();
    let documents = [
        (KUBELET, Some(&kubernetes.kubelet_configuration)),
        (KUBE_PROXY, proxy.map(|proxy| &proxy.other)),
    ];
    for (path, document) in documents {
        for key in ["apiVersion", "kind"] {
            if document.is_some_and(|document| document.contains_key(key)) {
                check.error(
                    KeyPath::of(path).key(key),
                    format!("'{key}' is kubexm's to write: these are settings, and no document"),
                    "remove it".to_owned(),
                );
            }
        }
    }
}
