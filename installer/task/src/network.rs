//! The network of the pods: by a plugin's own manifest, or by kubexm itself.

mod bridge;
mod calico;
mod flannel;
mod manifest;

use std::sync::Arc;

use cluster::NetworkPlugin;
use engine::{Step, Task};
use ipnet::IpNet;
use step::{HoldFile, PodNetwork};

use crate::Site;
use crate::site::names;

/// Whom the pods' network is left to, on each node.
#[must_use]
pub fn pod_network(site: &Site) -> Task {
    let task = Task::new("pod network");
    let traces = match site.cluster.spec.network.plugin {
        NetworkPlugin::Bridge => bridge::TRACES,
        NetworkPlugin::Calico => calico::TRACES,
        NetworkPlugin::Flannel => flannel::TRACES,
        NetworkPlugin::Cilium | NetworkPlugin::None => return task,
    };
    // The plugins take a pod's network back by the configuration that they made it by, and containerd makes the
    // directory anew as long as it runs.
    let path = bridge::CONFIG.into();
    let bridged = site.cluster.spec.network.plugin == NetworkPlugin::Bridge;
    let config = bridged.then(|| -> Arc<dyn Step> { Arc::new(HoldFile { path }) });
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let pods: Vec<IpNet> = pods.iter().map(cluster::Cidr::net).collect();
    task.on_each(&names(site.runtime_hosts()), |_| {
        let pods = pods.clone();
        let network: Arc<dyn Step> = Arc::new(PodNetwork { traces, pods });
        [network].into_iter().chain(config.clone()).collect()
    })
}

/// What is done once for the whole cluster, as soon as it answers.
#[must_use]
pub fn network_plugin(site: &Site) -> Task {
    let task = Task::new("network plugin");
    match site.cluster.spec.network.plugin {
        NetworkPlugin::Calico => calico::apply(site, task),
        NetworkPlugin::Flannel => flannel::apply(site, task),
        NetworkPlugin::Bridge | NetworkPlugin::Cilium | NetworkPlugin::None => task,
    }
}

/// What is done on each node, once it has joined.
#[must_use]
pub fn node_network(site: &Site) -> Task {
    let task = Task::new("node network");
    match site.cluster.spec.network.plugin {
        NetworkPlugin::Bridge => bridge::nodes(site, task),
        NetworkPlugin::Calico => calico::nodes(site, task),
        NetworkPlugin::Flannel => flannel::nodes(site, task),
        NetworkPlugin::Cilium | NetworkPlugin::None => task,
    }
}
