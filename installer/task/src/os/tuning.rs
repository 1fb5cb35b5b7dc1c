//! What a host that runs containers needs of its kernel.

use step::{Feature, KernelModule, Wanted};

/// The kernel modules of a host that runs containers.
pub(crate) const MODULES: &[KernelModule] = &[
    KernelModule {
        name: "overlay",
        shows: Feature::Filesystem("overlay"),
    },
    KernelModule {
        name: "br_netfilter",
        shows: Feature::Path("/proc/sys/net/bridge"),
    },
    KernelModule {
        name: "nf_conntrack",
        shows: Feature::Path("/proc/sys/net/netfilter/nf_conntrack_max"),
    },
];

/// And where kube-proxy forwards by ipvs: the switch itself, and its ways to choose.
pub(crate) const IPVS_MODULES: &[KernelModule] = &[
    KernelModule {
        name: "ip_vs",
        shows: Feature::Path("/proc/sys/net/ipv4/vs"),
    },
    KernelModule {
        name: "ip_vs_rr",
        shows: Feature::Module,
    },
    KernelModule {
        name: "ip_vs_wrr",
        shows: Feature::Module,
    },
    KernelModule {
        name: "ip_vs_sh",
        shows: Feature::Module,
    },
];

/// The kernel parameters of a host that runs containers.
pub(crate) const SYSCTLS: &[(&str, Wanted)] = &[
    ("net.bridge.bridge-nf-call-iptables", Wanted::Exactly(1)),
    ("net.bridge.bridge-nf-call-ip6tables", Wanted::Exactly(1)),
    ("net.ipv4.ip_forward", Wanted::Exactly(1)),
    ("fs.inotify.max_user_instances", Wanted::AtLeast(8192)),
    ("fs.inotify.max_user_watches", Wanted::AtLeast(524_288)),
    ("vm.max_map_count", Wanted::AtLeast(262_144)),
    ("vm.overcommit_memory", Wanted::Exactly(1)),
    ("kernel.panic", Wanted::Exactly(10)),
    ("kernel.panic_on_oops", Wanted::Exactly(1)),
];

/// And where pods have IPv6 addresses.
pub(crate) const SYSCTLS_V6: &[(&str, Wanted)] =
    &[("net.ipv6.conf.all.forwarding", Wanted::Exactly(1))];

/// Names of the interfaces that network plugins and kube-proxy make on a node.
pub(crate) const POD_INTERFACES: &[&str] = &[
    "cali*",
    "tunl*",
    "vxlan.calico",
    "vxlan-v6.calico",
    "flannel*",
    "cni*",
    "cilium*",
    "lxc*",
    "kube-ipvs0",
    "nodelocaldns",
];
