//! A part of a cluster that is upgraded by itself.

use cluster::{Cluster, Role, Version};
use engine::Stage;

use super::Extent;
use super::judge::{lag_of, too_old};

/// What of a cluster is upgraded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Whole,
    /// Masters, etcd, load balancers and the network; workers later.
    ControlPlane,
    /// These workers, behind a control plane that is new.
    Nodes(Vec<String>),
}

fn is_plain_worker(cluster: &Cluster, host: &str) -> bool {
    cluster.is_in(host, Role::Worker) && !cluster.is_in(host, Role::Master)
}

impl Scope {
    /// Whether the kubelet of this node is upgraded.
    pub(super) fn has(&self, cluster: &Cluster, node: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::ControlPlane => !is_plain_worker(cluster, node),
            Self::Nodes(nodes) => nodes.iter().any(|name| name == node),
        }
    }

    /// What of a stage is left for this part.
    pub(super) fn narrowed(
        &self,
        cluster: &Cluster,
        stage: Stage,
        extent: Extent,
    ) -> Option<Stage> {
        let hosts = cluster.spec.hosts.iter().map(|host| host.name.clone());
        let others: Vec<String> = hosts.filter(|host| !self.has(cluster, host)).collect();
        match (self, extent) {
            (Self::Whole, _) | (_, Extent::All) | (Self::ControlPlane, Extent::Center) => {
                Some(stage)
            }
            (_, Extent::Hosts) => Some(stage.sparing(&others)),
            (Self::Nodes(_), Extent::Center) | (_, Extent::Whole) => None,
        }
    }

    /// What keeps this part from being upgraded by itself.
    pub(super) fn judge(
        &self,
        cluster: &Cluster,
        target: &Version,
        apiservers: &[(String, Version)],
        kubelets: &[(String, Version)],
    ) -> Vec<String> {
        match self {
            Self::Whole => Vec::new(),
            Self::ControlPlane => {
                let left = kubelets.iter().filter(|(node, _)| !self.has(cluster, node));
                let left = left.filter(|(_, kubelet)| too_old(kubelet, target));
                left.map(|(node, kubelet)| {
                    format!(
                        "the kubelet of {node} would stay {kubelet}, more than {} minors older than a control plane of {target}: \
                         upgrade {node} first, or the control plane to an earlier version",
                        lag_of(kubelet)
                    )
                })
                .collect()
            }
            Self::Nodes(nodes) => {
                let mut found: Vec<String> = nodes
                    .iter()
                    .filter_map(|node| no_worker(cluster, node))
                    .collect();
                let old = apiservers.iter().filter(|(_, version)| version < target);
                found.extend(old.map(|(master, version)| {
                    format!(
                        "the apiserver of {master} is still {version}, and no kubelet may be newer: --only control-plane comes first"
                    )
                }));
                found
            }
        }
    }
}

fn no_worker(cluster: &Cluster, node: &str) -> Option<String> {
    if cluster.host(node).is_none() {
        return Some(format!("the config knows no host {node}"));
    }
    if cluster.is_in(node, Role::Master) {
        return Some(format!(
            "{node} is a master: --only control-plane takes all of them, one at a time"
        ));
    }
    (!cluster.is_in(node, Role::Worker)).then(|| format!("{node} is no worker"))
}
