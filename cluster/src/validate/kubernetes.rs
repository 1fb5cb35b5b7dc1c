use super::Check;
use crate::{KeyPath, Kubernetes, ProxyMode};

const VERSION: &str = "spec.kubernetes.version";
const PROXY: &str = "spec.kubernetes.proxyMode";

/// Feature gates of the usual samples, with the minor version of Kubernetes that knows them no more.
const REMOVED_GATES: [(&str, u64); 3] = [
    ("TTLAfterFinished", 25),
    ("ExpandCSIVolumes", 27),
    ("CSIStorageCapacity", 28),
];

pub(super) fn check(check: &mut Check<'_>) {
    if !check.sound(&[VERSION]) {
        return;
    }
    let kubernetes = &check.cluster.spec.kubernetes;
    let version = &kubernetes.version;
    let (_, minor) = version.minor();
    if *version < Kubernetes::OLDEST_VERSION {
        check.error(
            KeyPath::of(VERSION),
            format!("Kubernetes {version} is too old"),
            format!(
                "the oldest that can be installed is {}",
                Kubernetes::OLDEST_VERSION
            ),
        );
    }
    for (gate, gone) in REMOVED_GATES {
        if kubernetes.feature_gates.contains_key(gate) && minor >= gone {
            check.warn(
                KeyPath::of("spec.kubernetes.featureGates").key(gate),
                format!("Kubernetes {version} does not know the feature gate {gate} any more"),
                format!("it was removed in 1.{gone}, where it is always on: remove it"),
            );
        }
    }
    proxy_mode(check, kubernetes, minor);
}

fn proxy_mode(check: &mut Check<'_>, kubernetes: &Kubernetes, minor: u64) {
    match kubernetes.proxy_mode {
        ProxyMode::Nftables if minor < 31 => check.error(
            KeyPath::of(PROXY),
            format!(
                "kube-proxy of Kubernetes {} has no mode nftables",
                kubernetes.version
            ),
            "take iptables, or Kubernetes 1.31 or later".to_owned(),
        ),
        ProxyMode::Ipvs if minor >= 35 && check.written(PROXY) => check.warn(
            KeyPath::of(PROXY),
            format!(
                "the mode ipvs is deprecated in Kubernetes {}",
                kubernetes.version
            ),
            "nftables takes its place".to_owned(),
        ),
        ProxyMode::Nftables | ProxyMode::Ipvs | ProxyMode::Iptables => {}
    }
    if kubernetes.masquerade_all && kubernetes.proxy_mode != ProxyMode::Iptables {
        check.warn(
            KeyPath::of("spec.kubernetes.masqueradeAll"),
            "masqueradeAll is for proxyMode: iptables alone".to_owned(),
            None,
        );
    }
}
