//! Networks that come by a chart: their objects are those of an addon, and this is what they ask of nodes and leave there.

use cluster::Host;
use step::{KernelSince, PodNetworkTraces, Port, Requirements};

use super::Network;
use crate::Site;

pub(super) const CILIUM: Charted = Charted {
    config: "/etc/cni/net.d/05-cilium.conflist",
    traces: PodNetworkTraces {
        name: "cilium",
        paths: &[
            "/etc/cni/net.d/05-cilium.conflist",
            "/opt/cni/bin/cilium-cni",
            "/sys/fs/bpf/cilium",
            "/sys/fs/bpf/tc/globals/cilium_*",
            "/run/cilium",
        ],
        links: &["cilium_*", "lxc_health"],
        protocols: &[],
        through: &[],
        rules: &["CILIUM", "cilium"],
    },
    kernel: Some(KernelSince {
        release: (5, 10),
        of: "cilium",
        or: "take another spec.network.plugin",
    }),
    streams: &[Port {
        number: 4240,
        of: "cilium's health",
    }],
    datagrams: &[Port {
        number: 8472,
        of: "cilium's VXLAN",
    }],
};

pub(super) const KUBE_OVN: Charted = Charted {
    config: "/etc/cni/net.d/01-kube-ovn.conflist",
    // What Open vSwitch has in the kernel goes when the host boots again.
    traces: PodNetworkTraces {
        name: "kube-ovn",
        paths: &[
            "/etc/cni/net.d/01-kube-ovn.conflist",
            "/opt/cni/bin/kube-ovn",
            "/etc/origin/openvswitch",
            "/etc/origin/ovn",
            "/run/openvswitch",
            "/run/ovn",
        ],
        links: &[],
        protocols: &[],
        through: &[],
        rules: &["OVN-", "ovn40", "ovn60"],
    },
    kernel: None,
    streams: &[
        Port {
            number: 10660,
            of: "kube-ovn",
        },
        Port {
            number: 10665,
            of: "kube-ovn",
        },
    ],
    datagrams: &[Port {
        number: 6081,
        of: "kube-ovn's Geneve",
    }],
};

pub(super) struct Charted {
    config: &'static str,
    traces: PodNetworkTraces,
    kernel: Option<KernelSince>,
    streams: &'static [Port],
    datagrams: &'static [Port],
}

impl Network for Charted {
    fn traces(&self) -> Option<PodNetworkTraces> {
        Some(self.traces)
    }

    fn config(&self) -> Option<&'static str> {
        Some(self.config)
    }

    /// Its modules are asked for with those of other addons.
    fn requirements(&self, _: &Site, _: &Host, wanted: &mut Requirements) {
        wanted.kernels.extend(self.kernel);
        wanted.ports.extend_from_slice(self.streams);
        wanted.datagram_ports.extend_from_slice(self.datagrams);
    }
}
