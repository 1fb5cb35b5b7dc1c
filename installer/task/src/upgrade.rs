//! What an upgrade does beside what an install does: it looks, it keeps a snapshot, and it empties each node before its
//! kubelet changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use artifact::Release;
use cluster::{EtcdType, Host, KubernetesType, Role};
use engine::{Batch, Rolling, Slot, Step, Task, Turn};
use step::{
    ClusterSeen, DrainNode, EmptyNode, InsistAhead, LocalData, LookAtApiserver, LookAtCluster,
    RefillNode, SnapshotName, UncordonAll, UncordonNode,
};

use crate::Site;
use crate::check::CONTROL_PLANE;
use crate::etcd::back_up;
use crate::nodes::ROLL;
use crate::nodes::kube_proxy::kube_proxies;
use crate::nodes::kubelet::{heartbeat, kubelet_files, kubelet_service};
use crate::nodes::leave::new_pods;
use crate::site::url_address;

/// One release of an upgrade, on the way to the last.
#[derive(Clone, Debug)]
pub struct Hop {
    pub draining: HopDraining,
    pub stand: Stand,
    /// What members of kubeadm's etcd become ahead of this release's.
    pub etcd_first: Option<EtcdFirst>,
}

/// Members that are too old for the etcd of a release become the last of their minor before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdFirst {
    pub image: String,
    /// The masters with members. The leader is the last, so that another one is chosen once.
    pub order: Vec<String>,
}

/// How far a cluster has come on a hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing of Kubernetes is of this version yet.
    Ahead,
    /// Something is: an earlier run was cut short.
    Begun,
}

/// How nodes are emptied.
#[derive(Clone, Debug)]
pub struct HopDraining {
    /// How long pods may take to leave.
    pub patience: Duration,
    /// How many workers at once.
    pub batch: Batch,
    /// Nodes whose pods have nowhere else to go: they keep them.
    pub spared: BTreeSet<String>,
}

impl Site {
    /// The same site with another release of its contents.
    #[must_use]
    pub fn at(&self, release: &Release, hop: Hop) -> Self {
        let mut cluster = self.cluster.clone();
        cluster.spec.kubernetes.version = release.kubernetes.clone();
        let login = self.registry_login.clone();
        Self {
            release: release.clone(),
            hop: Some(hop),
            node_logins: self.node_logins.clone(),
            image_hosts: self.image_hosts.clone(),
            ..Self::new(cluster, self.contents.clone(), self.tree.clone(), login)
        }
    }

    /// What is done ahead of a change of a node's kubelet.
    pub(crate) fn drain(&self, host: &Host) -> Vec<Arc<dyn Step>> {
        let hop = self.hop.iter();
        hop.filter_map(|hop| self.emptied(host, hop.draining.patience))
            .flatten()
            .collect()
    }

    /// Its pods go elsewhere, unless they have nowhere to go; first of all it is asked whether others can be made.
    pub(crate) fn emptied(&self, host: &Host, patience: Duration) -> Option<[Arc<dyn Step>; 2]> {
        let draining = self.hop.as_ref().map(|hop| &hop.draining);
        if draining.is_some_and(|draining| draining.spared.contains(&host.name)) {
            return None;
        }
        let insist = InsistAhead {
            insist: new_pods(&host.name),
            by: CONTROL_PLANE,
        };
        let empty = EmptyNode {
            drain: DrainNode {
                node: host.name.clone(),
                timeout: draining.map_or(patience, |draining| draining.patience),
                // The node comes back with what lies on it.
                local: LocalData::Lose,
            },
            by: CONTROL_PLANE,
        };
        Some([Arc::new(insist), Arc::new(empty)])
    }

    /// It takes pods again, if it was kubexm that forbade it.
    pub(crate) fn refilled(host: &Host) -> Arc<dyn Step> {
        Arc::new(RefillNode {
            cordon: UncordonNode {
                node: host.name.clone(),
            },
            by: CONTROL_PLANE,
        })
    }

    /// What is done when it is well again.
    pub(crate) fn uncordon(&self, host: &Host) -> Vec<Arc<dyn Step>> {
        let drained = !self.drain(host).is_empty();
        drained.then(|| Self::refilled(host)).into_iter().collect()
    }

    /// How many of these nodes change at once. In an upgrade, masters go one at a time.
    pub(crate) fn node_batch(&self, hosts: &[&Host]) -> Batch {
        let is_master = |host: &&Host| self.cluster.is_in(&host.name, Role::Master);
        match &self.hop {
            None => ROLL,
            Some(_) if hosts.iter().any(is_master) => Batch::One,
            Some(hop) => hop.draining.batch,
        }
    }
}

/// Asks the cluster, and each apiserver for its version.
#[must_use]
pub fn look_at_cluster(
    site: &Site,
    seen: &Slot<ClusterSeen>,
    apiservers: &[(String, Slot<String>)],
) -> Task {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let mut task = Task::new("cluster").apart().on(
        CONTROL_PLANE,
        vec![Arc::new(LookAtCluster { seen: seen.clone() })],
    );
    for host in site.masters() {
        let mut of = apiservers.iter();
        if let Some((_, version)) = of.find(|(name, _)| *name == host.name) {
            let look = LookAtApiserver {
                server: format!("https://{}:{port}", url_address(host)),
                version: version.clone(),
            };
            task = task.on(&host.name, vec![Arc::new(look)]);
        }
    }
    task
}

/// The store as it is before a hop, on the operator's machine. Of an etcd of the site's own that is for whoever runs it.
#[must_use]
pub fn keep_snapshot(site: &Site) -> Task {
    let task = Task::new("etcd snapshot");
    if site
        .hop
        .as_ref()
        .is_none_or(|hop| hop.stand == Stand::Begun)
    {
        return task;
    }
    if site.cluster.spec.etcd.kind == EtcdType::External {
        return task;
    }
    let name = SnapshotName::Fresh {
        dir: site.tree.backups(),
        stem: format!("before-{}", site.release.kubernetes.with_v()),
    };
    let saved = Slot::new("the snapshot of etcd");
    back_up(site, name, &saved)
}

/// A worker's own programs and files as this release has them. What kubeadm keeps in the cluster is newer, and stays.
#[must_use]
pub fn roll_back(site: &Site, worker: &str) -> Task {
    let task = Task::new("node");
    let Some(host) = site.cluster.host(worker) else {
        return task;
    };
    let turn = Turn::new(Arc::new(kubelet_service(site)))
        .before(site.drain(host))
        .with(kubelet_files(site, host))
        .healthy(vec![heartbeat(host)])
        .healthy(site.uncordon(host));
    let task = task.roll(Rolling::new(Batch::One).on(&host.name, turn));
    match site.cluster.spec.kubernetes.kind {
        KubernetesType::Kubexm => task.roll(kube_proxies(site, &[host])),
        KubernetesType::Kubeadm => task,
    }
}

/// Every node takes pods again that kubexm has kept from it.
#[must_use]
pub fn uncordon_all() -> Task {
    Task::new("cordons").on(CONTROL_PLANE, vec![Arc::new(UncordonAll)])
}
