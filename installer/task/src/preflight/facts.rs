//! What components ask of hosts, as data.

use cluster::ProxyMode;
use step::{
    Bringer, KernelSince, Memory, Port, Program, ProgramFeature, Rival, SelinuxBoolean, System,
};

/// The operating systems that kubexm supports, each since its oldest release.
pub(crate) const SYSTEMS: &[System] = &[
    System {
        id: "debian",
        since: (11, 0),
    },
    System {
        id: "ubuntu",
        since: (20, 4),
    },
    System {
        id: "rhel",
        since: (8, 0),
    },
    System {
        id: "rocky",
        since: (8, 0),
    },
    System {
        id: "almalinux",
        since: (8, 0),
    },
    System {
        id: "centos",
        since: (8, 0),
    },
    System {
        id: "ol",
        since: (8, 0),
    },
    System {
        id: "anolis",
        since: (8, 0),
    },
    System {
        id: "openEuler",
        since: (20, 3),
    },
    System {
        id: "kylin",
        since: (10, 0),
    },
    System {
        id: "uos",
        since: (20, 0),
    },
    System {
        id: "opensuse-leap",
        since: (15, 4),
    },
    System {
        id: "sles",
        since: (15, 4),
    },
];

/// The ports of an etcd member: clients, peers, metrics.
pub(crate) const ETCD_PORTS: &[Port] = &[
    Port {
        number: 2379,
        of: "etcd",
    },
    Port {
        number: 2380,
        of: "etcd",
    },
    Port {
        number: 2381,
        of: "etcd",
    },
];

/// The ports of Kubernetes on every node.
pub(crate) const NODE_PORTS: &[Port] = &[
    Port {
        number: 10250,
        of: "kubelet",
    },
    Port {
        number: 10256,
        of: "kube-proxy",
    },
];

/// The ports of Kubernetes on a master beside that of the apiserver, which the config has.
pub(crate) const CONTROL_PLANE_PORTS: &[Port] = &[
    Port {
        number: 10257,
        of: "kube-controller-manager",
    },
    Port {
        number: 10259,
        of: "kube-scheduler",
    },
];

/// What kube-proxy needs for rules of nftables.
pub(crate) const NFTABLES_KERNEL: KernelSince = KernelSince {
    release: (5, 13),
    of: "proxyMode nftables",
    or: "set spec.kubernetes.proxyMode: iptables",
};

pub(crate) const OTHER_RUNTIME: &str =
    "install it on a host of its own, or remove it with its containers";
const OTHER_KUBERNETES: &str = "take the host out of that cluster with its own tool first";

const fn runtime(unit: &'static str, why: &'static str) -> Rival {
    Rival {
        unit,
        why,
        fix: OTHER_RUNTIME,
    }
}

const fn kubernetes(unit: &'static str, why: &'static str) -> Rival {
    Rival {
        unit,
        why,
        fix: OTHER_KUBERNETES,
    }
}

const fn cloud_setup(unit: &'static str) -> Rival {
    Rival {
        unit,
        why: "its routing rules lead pods' packets astray",
        fix: "systemctl disable --now nm-cloud-setup.timer nm-cloud-setup.service, then reboot",
    }
}

/// What cannot be at work on a node before it is one.
pub(crate) const RIVALS: &[Rival] = &[
    runtime(
        "docker.service",
        "its containers would lose their containerd to kubexm's",
    ),
    runtime("cri-docker.service", "another runtime for a kubelet"),
    runtime(
        "crio.service",
        "another runtime, with pods' networks of its own",
    ),
    runtime(
        "isulad.service",
        "another runtime, with pods' networks of its own",
    ),
    kubernetes("kubelet.service", "a kubelet of another Kubernetes"),
    kubernetes("k3s.service", "another Kubernetes"),
    kubernetes("k3s-agent.service", "another Kubernetes"),
    kubernetes("rke2-server.service", "another Kubernetes"),
    kubernetes("rke2-agent.service", "another Kubernetes"),
    kubernetes("k0scontroller.service", "another Kubernetes"),
    kubernetes("k0sworker.service", "another Kubernetes"),
    kubernetes(
        "snap.microk8s.daemon-kubelite.service",
        "another Kubernetes",
    ),
    cloud_setup("nm-cloud-setup.service"),
    cloud_setup("nm-cloud-setup.timer"),
];

/// What others leave on a node, by patterns with one star at most. A configuration of a network counts before that of the
/// plugin is there, and an old certificate more than a new way to get one.
pub(crate) const LEFTOVERS: &[(&str, &str)] = &[
    ("/etc/kubernetes", "another Kubernetes"),
    ("/etc/rancher", "another Kubernetes (RKE2 or k3s)"),
    ("/var/lib/kubelet/pki", "another kubelet"),
    ("/etc/cni/net.d/*.conf", "another pods' network"),
    ("/etc/cni/net.d/*.conflist", "another pods' network"),
    ("/etc/cni/net.d/*.json", "another pods' network"),
    ("/var/lib/cni/networks", "another pods' network"),
    ("/sys/class/net/cni0", "another pods' network"),
    ("/sys/class/net/flannel.*", "flannel"),
    ("/sys/class/net/cali*", "calico"),
    ("/sys/class/net/vxlan.calico", "calico"),
    ("/sys/class/net/cilium_*", "cilium"),
    ("/sys/class/net/kube-ipvs0", "another kube-proxy"),
];

/// What kubeadm asks of a master as well.
pub(crate) const CONTROL_PLANE_MEMORY: Memory = Memory {
    mib: 1700,
    of: "the control plane",
};

/// What its makers ask for at the least.
pub(crate) const HARBOR_MEMORY: Memory = Memory {
    mib: 3600,
    of: "Harbor",
};

/// The cgroup controllers without which no pod can be limited.
pub(crate) const CONTROLLERS: &[&str] = &["cpu", "memory", "pids"];

/// What shows and sets addresses and routes.
const IP: Program = Program {
    name: "ip",
    package: "iproute2 (on RHEL and its kin: iproute)",
    bringer: Bringer::Bundle,
};

/// What writes the kernel's rules by their older name.
pub(crate) const IPTABLES: Program = Program {
    name: "iptables",
    package: "iptables",
    bringer: Bringer::Bundle,
};

/// The programs that keep routes to pods.
pub(crate) const ROUTE_PROGRAMS: &[Program] = &[IP, IPTABLES];

/// What a kubelet calls for the volumes of pods.
pub(crate) const NODE_PROGRAMS: &[Program] = &[Program {
    name: "mount",
    package: "mount (on RHEL and its kin: util-linux)",
    bringer: Bringer::Bundle,
}];

/// What kubectl compares objects with.
pub(crate) const DIFF: Program = Program {
    name: "diff",
    package: "diffutils",
    bringer: Bringer::Bundle,
};

/// What lets one kubeadm at a time be at work.
pub(crate) const FLOCK: Program = Program {
    name: "flock",
    package: "util-linux",
    bringer: Bringer::Bundle,
};

/// What an older kube-proxy forgets connections with.
pub(crate) const CONNTRACK: Program = Program {
    name: "conntrack",
    package: "conntrack (on RHEL and its kin: conntrack-tools)",
    bringer: Bringer::Bundle,
};

/// The programs by which kube-proxy forwards.
pub(crate) const fn forwarding_programs(mode: ProxyMode) -> &'static [Program] {
    match mode {
        ProxyMode::Iptables => &[IPTABLES],
        ProxyMode::Ipvs => &[
            IPTABLES,
            Program {
                name: "ipset",
                package: "ipset",
                bringer: Bringer::Bundle,
            },
        ],
        ProxyMode::Nftables => &[Program {
            name: "nft",
            package: "nftables",
            bringer: Bringer::Bundle,
        }],
    }
}

/// The programs that steps call on every host, beside those of POSIX.
pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "sha256sum",
        package: "coreutils",
        bringer: Bringer::System,
    },
    Program {
        name: "systemctl",
        package: "systemd",
        bringer: Bringer::System,
    },
];

/// The programs that make a system user.
pub(crate) const USER_PROGRAMS: &[Program] = &[
    Program {
        name: "groupadd",
        package: "passwd (on RHEL and its kin: shadow-utils)",
        bringer: Bringer::Bundle,
    },
    Program {
        name: "useradd",
        package: "passwd (on RHEL and its kin: shadow-utils)",
        bringer: Bringer::Bundle,
    },
];

/// The programs of a host that holds a virtual address in turn with others.
pub(crate) const SHARING_PROGRAMS: &[Program] = &[
    Program {
        name: "bash",
        package: "bash",
        bringer: Bringer::Bundle,
    },
    IP,
];

/// What has the load balancers' hosts share an address.
pub(crate) const KEEPALIVED: Program = Program {
    name: "keepalived",
    package: "keepalived",
    bringer: Bringer::Bundle,
};

/// nginx has it in itself, or its configuration of the distribution names a module.
pub(crate) const NGINX_STREAM: ProgramFeature = ProgramFeature {
    program: "nginx",
    name: "stream module",
    test: "nginx -V 2>&1 | tr ' ' '\\n' | grep -qx -e --with-stream || \
           grep -qs ngx_stream_module /etc/nginx/modules-enabled/*.conf /usr/share/nginx/modules/*.conf",
    package: "libnginx-mod-stream (on RHEL and its kin: nginx-mod-stream)",
};

/// Beside keepalived, whose checks connect to the balancer. As the policy of RHEL and its kin names them.
pub(crate) const SELINUX_KEEPALIVED: SelinuxBoolean = SelinuxBoolean {
    name: "keepalived_connect_any",
    of: "keepalived",
    besides: None,
};
pub(crate) const SELINUX_HAPROXY: SelinuxBoolean = SelinuxBoolean {
    name: "haproxy_connect_any",
    of: "haproxy",
    besides: None,
};
pub(crate) const SELINUX_NGINX: SelinuxBoolean = SelinuxBoolean {
    name: "httpd_can_network_connect",
    of: "nginx",
    besides: Some(
        "and semanage port -a -t http_port_t -p tcp PORT, for the port of the control plane's endpoint and for 10242",
    ),
};
