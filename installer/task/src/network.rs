//! The network of the pods: by a plugin's own manifest, or by kubexm itself.

mod bridge;
mod calico;
mod charted;
mod flannel;
mod manifest;
mod none;

use std::sync::Arc;

use cluster::{Host, NetworkPlugin};
use engine::{Order, Slot, Step, Task};
use ipnet::IpNet;
use step::{
    AwaitNetwork, Feature, KernelModule, LookAtNodeNetwork, NodeObstacles, PodNetwork,
    PodNetworkTraces, Requirements,
};

use crate::Site;
use crate::control_plane::once;
use crate::dns;
use crate::site::names;

/// What wraps packets by VXLAN.
const VXLAN_MODULE: KernelModule = KernelModule {
    name: "vxlan",
    shows: Feature::Module,
};

/// A network of the pods.
pub(crate) trait Network: Sync {
    /// What it leaves on a node, for its removal; nothing where somebody else looks after it.
    fn traces(&self) -> Option<PodNetworkTraces>;

    /// The configuration on each node by which the container runtime finds it.
    fn config(&self) -> Option<&'static str>;

    /// What it asks of a node before anything is touched.
    fn requirements(&self, site: &Site, host: &Host, wanted: &mut Requirements);

    /// Stands on each node before the container runtime, so that its counterpart comes when no pod is left.
    fn before_runtime(&self) -> Option<Arc<dyn Step>> {
        None
    }

    /// What waits until it has given back what it had for a node that is gone.
    fn forgets(&self, _node: &str) -> Option<Arc<dyn Step>> {
        None
    }

    /// What is done once for the whole cluster, as soon as it answers.
    fn on_cluster(&self, _: &Site, task: Task) -> Task {
        task
    }

    /// What is done on each node, once it has joined.
    fn on_nodes(&self, _: &Site, task: Task) -> Task {
        task
    }
}

impl Site {
    /// The network of the config.
    pub(crate) fn network(&self) -> &'static dyn Network {
        match self.cluster.spec.network.plugin {
            NetworkPlugin::Calico => &calico::Calico,
            NetworkPlugin::Flannel => &flannel::Flannel,
            NetworkPlugin::Cilium => &charted::CILIUM,
            NetworkPlugin::KubeOvn => &charted::KUBE_OVN,
            NetworkPlugin::Bridge => &bridge::Bridge,
            NetworkPlugin::None => &none::None,
        }
    }
}

/// Whom the pods' network is left to, on each node.
#[must_use]
pub fn pod_network(site: &Site) -> Task {
    let task = Task::new("pod network");
    let network = site.network();
    let plugin = network.traces();
    let node_local_dns = site.has_node_local_dns().then_some(dns::TRACES);
    let all: Vec<PodNetworkTraces> = plugin
        .into_iter()
        .chain(node_local_dns)
        .chain(site.addon_traces())
        .collect();
    let pods = site.cluster.spec.network.kube_pods_cidr;
    let pods: Vec<IpNet> = pods.iter().map(cluster::Cidr::net).collect();
    task.on_each(&names(site.runtime_hosts()), |_| {
        let left = |traces: &PodNetworkTraces| -> Arc<dyn Step> {
            Arc::new(PodNetwork {
                traces: *traces,
                pods: pods.clone(),
            })
        };
        let before = network.before_runtime();
        all.iter().map(left).chain(before).collect()
    })
}

/// What is done once for the whole cluster, as soon as it answers.
#[must_use]
pub fn network_plugin(site: &Site) -> Task {
    site.network().on_cluster(site, Task::new("network plugin"))
}

/// What is done on each node, once it has joined.
#[must_use]
pub fn node_network(site: &Site) -> Task {
    site.network().on_nodes(site, Task::new("node network"))
}

/// What may stand in the way of the pods' network, by node. Each node's proof knows all of them: they are there once.
pub(crate) type Obstacles = Arc<[(String, Slot<NodeObstacles>)]>;

/// Looks at each node for what may stand in the way.
pub(crate) fn look_for_obstacles(site: &Site, task: Task) -> (Task, Obstacles) {
    let nodes = names(site.runtime_hosts()).into_iter();
    let obstacles: Obstacles = nodes
        .map(|name| (name.clone(), Slot::new(&format!("the network of {name}"))))
        .collect();
    let config = site.network().config();
    let task = obstacles.iter().fold(task, |task, (name, seen)| {
        let seen = seen.clone();
        task.on(name, vec![Arc::new(LookAtNodeNetwork { config, seen })])
    });
    (task, obstacles)
}

/// A node has its network when the pod of this selector on it is Ready. A node that did not come is not waited for.
pub(crate) fn pods_on_nodes(
    site: &Site,
    task: Task,
    plugin: &'static str,
    selector: &'static str,
) -> Task {
    let (task, nodes) = look_for_obstacles(site, task);
    let await_all = AwaitNetwork {
        plugin,
        selector,
        nodes,
    };
    once(site, task.then(Order::Settled), vec![Arc::new(await_all)])
}
