use std::sync::Arc;

use engine::{Slot, Task};
use step::{Component, HostSeen, LookAtHost};

const fn service(name: &'static str, program: &'static str, unit: &'static str) -> Component {
    Component {
        name,
        program,
        unit: Some(unit),
        pod: None,
    }
}

/// A service, or a static pod of kubeadm.
const fn of_masters(
    name: &'static str,
    program: &'static str,
    unit: &'static str,
    pod: &'static str,
) -> Component {
    Component {
        name,
        program,
        unit: Some(unit),
        pod: Some(pod),
    }
}

/// What kubexm may have set up on a host.
const COMPONENTS: &[Component] = &[
    service("containerd", "containerd --version", "containerd.service"),
    Component {
        name: "runc",
        program: "runc --version",
        unit: None,
        pod: None,
    },
    service("kubelet", "kubelet --version", "kubelet.service"),
    service("kube-proxy", "kube-proxy --version", "kube-proxy.service"),
    of_masters(
        "etcd",
        "etcd --version",
        "etcd.service",
        "/etc/kubernetes/manifests/etcd.yaml",
    ),
    of_masters(
        "kube-apiserver",
        "kube-apiserver --version",
        "kube-apiserver.service",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
    ),
    of_masters(
        "kube-controller-manager",
        "kube-controller-manager --version",
        "kube-controller-manager.service",
        "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    ),
    of_masters(
        "kube-scheduler",
        "kube-scheduler --version",
        "kube-scheduler.service",
        "/etc/kubernetes/manifests/kube-scheduler.yaml",
    ),
    service("registry", "registry --version", "kubexm-registry.service"),
    service("keepalived", "keepalived -v", "keepalived.service"),
    service("haproxy", "haproxy -v", "haproxy.service"),
    service("nginx", "nginx -v", "nginx.service"),
];

/// What these hosts are and carry.
#[must_use]
pub fn look_at_hosts(hosts: &[(String, Slot<HostSeen>)]) -> Task {
    hosts.iter().fold(Task::new("look"), |task, (host, seen)| {
        let look = LookAtHost {
            components: COMPONENTS,
            seen: seen.clone(),
        };
        task.on(host, vec![Arc::new(look)])
    })
}
