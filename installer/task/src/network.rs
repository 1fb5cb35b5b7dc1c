//! The network of the pods: by a plugin's own manifest, or by kubexm itself.

mod bridge;
mod calico;
mod flannel;
mod manifest;

use std::sync::Arc;

use cluster::NetworkPlugin;
use engine::{Order, Slot, Step, Task};
use ipnet::IpNet;
use step::{AwaitNetwork, HoldFile, LookAtNodeNetwork, NodeObstacles, PodNetwork};

use crate::Site;
use crate::control_plane::once;
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
        NetworkPlugin::Calico => plugin_on_nodes(site, task, &calico::PLUGIN),
        NetworkPlugin::Flannel => plugin_on_nodes(site, task, &flannel::PLUGIN),
        NetworkPlugin::Cilium | NetworkPlugin::None => task,
    }
}

/// A plugin that runs as a pod on each node.
struct Plugin {
    name: &'static str,
    /// Of these pods.
    selector: &'static str,
    /// What it writes on each node for the container runtime.
    config: &'static str,
}

/// What may stand in the way of the pods' network, by node.
pub(crate) type Obstacles = Vec<(String, Slot<NodeObstacles>)>;

/// Looks at each node for what may stand in the way.
pub(crate) fn look_for_obstacles(site: &Site, task: Task) -> (Task, Obstacles) {
    let nodes = names(site.runtime_hosts()).into_iter();
    let obstacles: Obstacles = nodes
        .map(|name| (name.clone(), Slot::new(&format!("the network of {name}"))))
        .collect();
    let config = match site.cluster.spec.network.plugin {
        NetworkPlugin::Bridge => Some(bridge::CONFIG),
        NetworkPlugin::Calico => Some(calico::PLUGIN.config),
        NetworkPlugin::Flannel => Some(flannel::PLUGIN.config),
        NetworkPlugin::Cilium | NetworkPlugin::None => None,
    };
    let task = obstacles.iter().fold(task, |task, (name, seen)| {
        let seen = seen.clone();
        task.on(name, vec![Arc::new(LookAtNodeNetwork { config, seen })])
    });
    (task, obstacles)
}

/// A node has its network when the plugin's pod on it is Ready. A node that did not come is not waited for.
fn plugin_on_nodes(site: &Site, task: Task, plugin: &Plugin) -> Task {
    let (task, nodes) = look_for_obstacles(site, task);
    let await_all = AwaitNetwork {
        plugin: plugin.name,
        selector: plugin.selector,
        nodes,
    };
    once(site, task.then(Order::Settled), vec![Arc::new(await_all)])
}
