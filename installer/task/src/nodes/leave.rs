//! How hosts come out of a living cluster.

use std::sync::Arc;
use std::time::Duration;

use cluster::{EtcdType, Role};
use engine::{Step, StepError, Task};
use step::{
    Content, CordonNode, DeleteNode, DrainNode, InsistOnNewPods, LocalData, LookAtPods,
    NoteLocally, RemoveEtcdMember, RemoveLocal,
};

use crate::check::CONTROL_PLANE;
use crate::etcd::ETCD;
use crate::{OPERATOR, Site};

impl Site {
    /// Of these hosts, those that are nodes of the cluster.
    #[must_use]
    pub fn nodes_among(&self, hosts: &[String]) -> Vec<String> {
        let nodes = self.runtime_hosts().into_iter();
        let nodes = nodes.filter(|host| hosts.contains(&host.name));
        nodes.map(|host| host.name.clone()).collect()
    }

    /// The hosts on which a member of etcd is, of whichever kind.
    #[must_use]
    pub fn members_of_etcd(&self) -> Vec<String> {
        let role = match self.cluster.spec.etcd.kind {
            EtcdType::Kubexm => Role::Etcd,
            EtcdType::Kubeadm => Role::Master,
            EtcdType::External => return Vec::new(),
        };
        let hosts = self.cluster.hosts_in(role).into_iter();
        hosts.map(|host| host.name.clone()).collect()
    }
}

/// The pods of these nodes go elsewhere: none of them to another of these. What would be lost is told before anything is
/// touched.
#[must_use]
pub fn drain(nodes: &[String], timeout: Duration, local: LocalData) -> Task {
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    for node in nodes {
        let node = node.clone();
        steps.push(Arc::new(LookAtPods { node, local }));
    }
    // What keeps new pods away is told before any node is cordoned, and what the drain of one has brought about before the next.
    if let Some(first) = nodes.first() {
        steps.push(Arc::new(new_pods(first)));
    }
    for node in nodes {
        steps.push(Arc::new(CordonNode { node: node.clone() }));
    }
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            steps.push(Arc::new(new_pods(node)));
        }
        steps.push(Arc::new(DrainNode {
            node: node.clone(),
            timeout,
            local,
        }));
    }
    Task::new("drain").on(CONTROL_PLANE, steps)
}

/// That the cluster takes new pods, before this node is emptied. A webhook's server may be among those that were on the node
/// before, and need some time to come back.
pub(crate) fn new_pods(node: &str) -> InsistOnNewPods {
    InsistOnNewPods {
        node: node.to_owned(),
        patience: Duration::from_mins(3),
    }
}

/// Those that are members of etcd before, and not after, are taken out of it, one after the other.
#[must_use]
pub fn leave_etcd(before: &Site, after: &Site) -> Task {
    let stay = after.members_of_etcd();
    let leave = before.members_of_etcd().into_iter();
    let leave = leave.filter(|name| !stay.contains(name));
    let cluster = after.etcd();
    let steps = leave.filter_map(|name| {
        let member = Site::peer(before.cluster.host(&name)?);
        let cluster = cluster.clone();
        let step: Arc<dyn Step> = Arc::new(RemoveEtcdMember { member, cluster });
        Some(step)
    });
    Task::new("members").on(ETCD, steps.collect())
}

/// The cluster forgets these nodes, and so does the pods' network.
#[must_use]
pub fn delete_nodes(before: &Site, nodes: &[String]) -> Task {
    let delete = |node: &String| -> Arc<dyn Step> { Arc::new(DeleteNode { node: node.clone() }) };
    let network = before.network();
    let forgotten = nodes.iter().filter_map(|node| network.forgets(node));
    let steps = nodes.iter().map(delete).chain(forgotten).collect();
    Task::new("nodes").on(CONTROL_PLANE, steps)
}

/// Of hosts that are taken out without being reached, it is noted from what: they may come back as they were.
#[must_use]
pub fn note_taken_out(before: &Site, hosts: &[String]) -> Task {
    let steps = hosts.iter().map(|host| -> Arc<dyn Step> {
        let cluster = Arc::new(before.cluster.clone());
        let content = Content::Late {
            takes: Vec::new(),
            render: Arc::new(move || {
                let text = cluster.to_yaml();
                text.map_err(|error| StepError::new(error.to_string()))
            }),
        };
        let path = before.tree.taken_out(host);
        Arc::new(NoteLocally { path, content })
    });
    Task::new("notes").on(OPERATOR, steps.collect())
}

/// The same of hosts that have been given back.
#[must_use]
pub fn forget_taken_out(after: &Site, hosts: &[String]) -> Task {
    let steps = hosts.iter().map(|host| -> Arc<dyn Step> {
        Arc::new(RemoveLocal {
            title: format!("forget that {host} was taken out"),
            paths: vec![after.tree.taken_out(host)],
        })
    });
    Task::new("notes").on(OPERATOR, steps.collect())
}
