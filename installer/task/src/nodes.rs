//! What runs on each node of a cluster from plain binaries: kubelet and kube-proxy, with certificates that the
//! operator's machine has made. So no node waits for anybody to sign a request.

use std::sync::Arc;

use cluster::{Host, KubernetesType};
use engine::{Step, Task};
use step::AwaitNode;

use crate::Site;
use crate::kube_proxy::kube_proxy;
use crate::kubelet::{kubelet_files, kubelet_service};

/// The masters as nodes.
#[must_use]
pub fn master_nodes(site: &Site) -> Task {
    on_each(site, Task::new("master nodes"), &site.masters())
}

/// The workers that are no masters.
#[must_use]
pub fn worker_nodes(site: &Site) -> Task {
    on_each(site, Task::new("worker nodes"), &site.plain_workers())
}

fn on_each(site: &Site, task: Task, hosts: &[&Host]) -> Task {
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubexm {
        return task;
    }
    hosts
        .iter()
        .fold(task, |task, host| task.on(&host.name, node(site, host)))
}

fn node(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    let mut steps = kubelet_files(site, host);
    steps.push(Arc::new(kubelet_service(site)));
    steps.push(Arc::new(AwaitNode {
        name: host.name.clone(),
    }));
    // Behind it: taken back, kube-proxy is gone before its rules are, or it would write them again.
    steps.extend(kube_proxy(site, host));
    steps
}
