//! What releases of Kubernetes have taken away: flags of programs, admission plugins, versions of the API. And what came only
//! with one: keys of the kubelet's and kube-proxy's configuration.
//!
//! From the changelogs of Kubernetes (the numbers are those of its pull requests) and its guide to deprecated APIs.

use crate::Version;

/// A program of Kubernetes that is started with flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    Apiserver,
    ControllerManager,
    Scheduler,
    Kubelet,
}

impl Program {
    pub const ALL: [Self; 4] = [
        Self::Apiserver,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
        }
    }
}

/// Something that is no longer there, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The minor with which it went, or came.
    pub minor: u64,
    /// What to do instead.
    pub instead: &'static str,
}

/// Which programs knew a flag.
type Programs = &'static [Program];

const EACH: Programs = &Program::ALL;
const APISERVER: Programs = &[Program::Apiserver];
const MANAGER: Programs = &[Program::ControllerManager];
const KUBELET: Programs = &[Program::Kubelet];

const REMOVE: &str = "remove it";
const LOGS: &str =
    "remove it: logs go to stderr, and the journal of systemd or the runtime keeps them";
const CONTAINERS: &str = "remove it: it was for Docker, and the runtime knows its own network";
const CLOUD: &str = "remove it: the cloud's own controller manager does this, and kubelets need --cloud-provider=external alone";
const STORE: &str = "remove it: it was of a part of cAdvisor that the kubelet does not use";

/// The minor without it, those that knew it, flags, what to do instead.
const FLAGS: &[(u64, Programs, &str, &str)] = &[
    // Insecure ports, which did nothing since 1.20.
    (
        24,
        APISERVER,
        "address insecure-bind-address insecure-port port",
        "remove it: it did nothing since 1.20",
    ),
    (
        24,
        MANAGER,
        "address port",
        "set bind-address and secure-port",
    ),
    // #108423
    (
        24,
        APISERVER,
        "experimental-encryption-provider-config",
        "set encryption-provider-config",
    ),
    // With dockershim.
    (
        24,
        KUBELET,
        "cni-bin-dir cni-cache-dir cni-conf-dir docker-endpoint experimental-dockershim-root-directory \
         image-pull-progress-deadline network-plugin network-plugin-mtu",
        CONTAINERS,
    ),
    (
        24,
        KUBELET,
        "dynamic-config-dir",
        "set keys under kubeletConfiguration",
    ),
    (
        25,
        APISERVER,
        "service-account-api-audiences",
        "set api-audiences",
    ),
    (
        25,
        MANAGER,
        "deleting-pods-burst deleting-pods-qps register-retry-count",
        "remove it: it did nothing",
    ),
    // #112120
    (
        26,
        EACH,
        "add-dir-header alsologtostderr log-backtrace-at log-dir log-file log-file-max-size logtostderr one-output \
         skip-headers skip-log-headers stderrthreshold",
        LOGS,
    ),
    (27, MANAGER, "enable-taint-manager", REMOVE),
    (
        27,
        MANAGER,
        "pod-eviction-timeout",
        "set default-not-ready-toleration-seconds and default-unreachable-toleration-seconds of apiServer",
    ),
    (27, KUBELET, "container-runtime", REMOVE),
    // #114446, #116015
    (
        27,
        &[Program::Apiserver, Program::Kubelet],
        "master-service-namespace",
        "remove it: it did nothing",
    ),
    // #122082
    (31, KUBELET, "keep-terminated-pod-volumes", REMOVE),
    // #122363
    (
        31,
        KUBELET,
        "iptables-drop-bit iptables-masquerade-bit",
        "remove it: the kubelet writes no rules any more",
    ),
    // #124017
    (
        31,
        MANAGER,
        "volume-host-allow-local-loopback volume-host-cidr-denylist",
        REMOVE,
    ),
    // #124948
    (
        31,
        MANAGER,
        "horizontal-pod-autoscaler-downscale-delay horizontal-pod-autoscaler-upscale-delay",
        "set spec.behavior of the HorizontalPodAutoscalers, or horizontal-pod-autoscaler-downscale-stabilization",
    ),
    // #130162
    (33, APISERVER, "cloud-config cloud-provider", CLOUD),
    // #130161
    (34, KUBELET, "cloud-config", CLOUD),
    // #133779
    (
        35,
        KUBELET,
        "pod-infra-container-image",
        "set the version of pause under spec.versions",
    ),
    // #139870
    (
        37,
        KUBELET,
        "application-metrics-count-limit boot-id-file container-hints containerd containerd-namespace \
         enable-load-reader event-storage-age-limit event-storage-event-limit global-housekeeping-interval \
         log-cadvisor-usage machine-id-file storage-driver-buffer-duration storage-driver-db storage-driver-host \
         storage-driver-password storage-driver-secure storage-driver-table storage-driver-user",
        STORE,
    ),
];

/// The minor without them, admission plugins of the apiserver, what to do instead.
const PLUGINS: &[(u64, &str, &str)] = &[
    (
        25,
        "PodSecurityPolicy",
        "label namespaces for Pod Security: pod-security.kubernetes.io/enforce",
    ),
    // #122612
    (
        30,
        "SecurityContextDeny",
        "label namespaces for Pod Security: pod-security.kubernetes.io/enforce",
    ),
    (
        31,
        "PersistentVolumeLabel",
        "remove it: drivers of CSI label their volumes",
    ),
];

/// The minor that does not serve it, group and version, kind, what to use instead.
const APIS: &[(u64, &str, &str, &str)] = &[
    (25, "batch/v1beta1", "cronjobs", "batch/v1"),
    (
        25,
        "discovery.k8s.io/v1beta1",
        "endpointslices",
        "discovery.k8s.io/v1",
    ),
    (25, "events.k8s.io/v1beta1", "events", "events.k8s.io/v1"),
    (
        25,
        "autoscaling/v2beta1",
        "horizontalpodautoscalers",
        "autoscaling/v2",
    ),
    (25, "policy/v1beta1", "poddisruptionbudgets", "policy/v1"),
    (
        25,
        "policy/v1beta1",
        "podsecuritypolicies",
        "Pod Security, by labels of namespaces",
    ),
    (
        25,
        "node.k8s.io/v1beta1",
        "runtimeclasses",
        "node.k8s.io/v1",
    ),
    (
        26,
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "flowschemas",
        "flowcontrol.apiserver.k8s.io/v1beta2",
    ),
    (
        26,
        "flowcontrol.apiserver.k8s.io/v1beta1",
        "prioritylevelconfigurations",
        "flowcontrol.apiserver.k8s.io/v1beta2",
    ),
    (
        26,
        "autoscaling/v2beta2",
        "horizontalpodautoscalers",
        "autoscaling/v2",
    ),
    (
        27,
        "storage.k8s.io/v1beta1",
        "csistoragecapacities",
        "storage.k8s.io/v1",
    ),
    (
        29,
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "flowschemas",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        29,
        "flowcontrol.apiserver.k8s.io/v1beta2",
        "prioritylevelconfigurations",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        32,
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "flowschemas",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
    (
        32,
        "flowcontrol.apiserver.k8s.io/v1beta3",
        "prioritylevelconfigurations",
        "flowcontrol.apiserver.k8s.io/v1",
    ),
];

/// The minor that was the first to know them, keys of `KubeletConfiguration` at its top. Those of before 1.25 are not here.
const KUBELET_KEYS: &[(u64, &str)] = &[
    (25, "localStorageCapacityIsolation tracing"),
    (
        27,
        "containerRuntimeEndpoint enableSystemLogQuery imageServiceEndpoint maxParallelImagePulls",
    ),
    (29, "imageMaximumGCAge"),
    (
        30,
        "containerLogMaxWorkers containerLogMonitorInterval podLogsDir",
    ),
    (31, "failCgroupV1"),
    (32, "crashLoopBackOff singleProcessOOMKill"),
    (
        33,
        "imagePullCredentialsVerificationPolicy mergeDefaultEvictionSettings preloadedImagesVerificationAllowlist userNamespaces",
    ),
    (36, "memoryReservationPolicy"),
];

/// The same of `KubeProxyConfiguration`.
const PROXY_KEYS: &[(u64, &str)] = &[(29, "nftables")];

/// With which minor a program lost a flag, where this version is not older.
#[must_use]
pub fn flag_gone(program: Program, flag: &str, version: &Version) -> Option<Change> {
    let of = FLAGS
        .iter()
        .find(|(_, programs, flags, _)| programs.contains(&program) && named(flags, flag))?;
    let (minor, _, _, instead) = *of;
    has(minor, version).then_some(Change { minor, instead })
}

/// The same of an admission plugin.
#[must_use]
pub fn plugin_gone(plugin: &str, version: &Version) -> Option<Change> {
    let (minor, _, instead) = *PLUGINS.iter().find(|(_, name, _)| *name == plugin)?;
    has(minor, version).then_some(Change { minor, instead })
}

/// Since when a version of the API is not served, and what is used instead. Group and version are `policy/v1beta1`.
#[must_use]
pub fn api_gone(version: &str, resource: &str) -> Option<Change> {
    let mut apis = APIS.iter();
    let of = apis.find(|(_, of, kind, _)| *of == version && *kind == resource)?;
    let (minor, _, _, instead) = *of;
    Some(Change { minor, instead })
}

/// The minor that is the first to know a key of the kubelet's configuration, where this version is older.
#[must_use]
pub fn kubelet_key_since(key: &str, version: &Version) -> Option<u64> {
    since(KUBELET_KEYS, key, version)
}

/// The same of kube-proxy's.
#[must_use]
pub fn proxy_key_since(key: &str, version: &Version) -> Option<u64> {
    since(PROXY_KEYS, key, version)
}

fn since(keys: &[(u64, &str)], key: &str, version: &Version) -> Option<u64> {
    let (minor, _) = *keys.iter().find(|(_, keys)| named(keys, key))?;
    (!has(minor, version)).then_some(minor)
}

fn named(words: &str, wanted: &str) -> bool {
    words.split(' ').any(|word| word == wanted)
}

fn has(minor: u64, version: &Version) -> bool {
    version.minor() >= (1, minor)
}

#[cfg(test)]
mod tests;
