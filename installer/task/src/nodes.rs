//! What runs on each node of a cluster from plain binaries: kubelet and kube-proxy, with certificates that the
//! operator's machine has made. So no node waits for anybody to sign a request.

pub(crate) mod kube_proxy;
pub(crate) mod kubelet;
pub(crate) mod leave;
mod marks;

use std::sync::Arc;

use cluster::{Host, KubernetesType};
use engine::{Batch, Order, Task};
use step::AwaitNode;

use crate::Site;
use crate::nodes::kube_proxy::kube_proxies;
use crate::nodes::kubelet::kubelets;

pub use leave::{delete_nodes, drain, forget_taken_out, leave_etcd, note_taken_out};
pub use marks::node_marks;

/// How many nodes at once, behind the first, what runs on all of them is changed.
pub(crate) const ROLL: Batch = Batch::Percent(10);

/// The masters as nodes.
#[must_use]
pub fn master_nodes(site: &Site) -> Task {
    let task = Task::new("master nodes");
    // A kubelet may be no newer than any apiserver.
    let task = match &site.hop {
        Some(_) => task.after(Order::AllHosts),
        None => task,
    };
    on_each(site, task, &site.masters())
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
    let task = task.roll(kubelets(site, hosts));
    // Behind it: taken back, kube-proxy is gone before its rules are, or it would write them again.
    let task = hosts.iter().fold(task, |task, host| {
        let node = AwaitNode {
            name: host.name.clone(),
        };
        task.on(&host.name, vec![Arc::new(node)])
    });
    task.roll(kube_proxies(site, hosts))
}
