use std::sync::Arc;

use engine::{Slot, Task};
use step::{Component, HostSeen, LookAtHost};

use crate::Site;

/// What kubexm may have set up on a host, whatever its runtime and registry.
const COMPONENTS: &[Component] = &[
    Component::service("kubelet", "kubelet --version", "kubelet.service"),
    Component::service("kube-proxy", "kube-proxy --version", "kube-proxy.service"),
    Component::of_masters(
        "etcd",
        "etcd --version",
        "etcd.service",
        "/etc/kubernetes/manifests/etcd.yaml",
    ),
    Component::of_masters(
        "kube-apiserver",
        "kube-apiserver --version",
        "kube-apiserver.service",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
    ),
    Component::of_masters(
        "kube-controller-manager",
        "kube-controller-manager --version",
        "kube-controller-manager.service",
        "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    ),
    Component::of_masters(
        "kube-scheduler",
        "kube-scheduler --version",
        "kube-scheduler.service",
        "/etc/kubernetes/manifests/kube-scheduler.yaml",
    ),
    Component::service("keepalived", "keepalived -v", "keepalived.service"),
    Component::service("haproxy", "haproxy -v", "haproxy.service"),
    Component::service("nginx", "nginx -v", "nginx.service"),
];

/// What these hosts are and carry.
#[must_use]
pub fn look_at_hosts(site: &Site, hosts: &[(String, Slot<HostSeen>)]) -> Task {
    let runtime = site.runtime().carried().iter();
    let registry = site
        .registry()
        .map_or(&[][..], |(registry, _)| registry.carried());
    let components: Vec<Component> = runtime.chain(COMPONENTS).chain(registry).copied().collect();
    hosts.iter().fold(Task::new("look"), |task, (host, seen)| {
        let look = LookAtHost {
            components: components.clone(),
            seen: seen.clone(),
        };
        task.on(host, vec![Arc::new(look)])
    })
}
