//! One worker back to the release before, while the rest of the cluster stays as it is.

use artifact::Release;
use cluster::{Role, Version};
use engine::{Graph, Plan};
use module::{Site, Stand};

use super::judge::{self, lag_of, too_old};
use super::{Emptying, HeldPods, Living, Scope, Way, at};
use crate::PipelineError;

/// Where a worker goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pub node: String,
    pub from: Version,
    pub release: Release,
    /// It is not drained: it is not Ready, or no other node takes its pods.
    pub keeps_pods: bool,
}

/// Whether a node can go back, and to which release of the bundle.
pub fn way_back(
    site: &Site,
    living: &Living,
    node: &str,
    held: HeldPods,
) -> Result<Return, PipelineError> {
    let mut why = Vec::new();
    if site.cluster.host(node).is_none() {
        why.push("the config knows no such host".to_owned());
    } else if site.cluster.is_in(node, Role::Master) {
        why.push(
            "it is a master: the store may hold objects in forms that an older apiserver does not know. The data of before the hop \
             comes back by kubexm etcd restore, and the programs stay"
                .to_owned(),
        );
    }
    let seen = living
        .cluster
        .nodes
        .iter()
        .find(|living| living.name == node);
    let from = seen.and_then(|seen| judge::version(&seen.kubelet).ok());
    let (Some(seen), Some(from)) = (seen, from) else {
        why.push("it is no node of the cluster that tells its version".to_owned());
        return Err(refused(node, why));
    };
    let older = site.contents.releases.iter();
    let older = older.filter(|release| release.kubernetes < from);
    let Some(release) = older.max_by_key(|release| release.kubernetes.clone()) else {
        why.push(format!(
            "the bundle holds no release that is older than its {from}: give the bundle that the cluster had before"
        ));
        return Err(refused(node, why));
    };
    let apiservers = living.apiservers.iter();
    let apiservers = apiservers.filter_map(|(_, version)| version.as_ref().ok());
    let Some(newest) = apiservers.max() else {
        why.push("no apiserver tells its version".to_owned());
        return Err(refused(node, why));
    };
    let back = &release.kubernetes;
    if too_old(back, newest) {
        why.push(format!(
            "its kubelet would be {back}, more than {} minors older than the apiservers ({newest})",
            lag_of(back)
        ));
    }
    let mut others = living
        .cluster
        .nodes
        .iter()
        .filter(|other| other.name != node);
    let keeps_pods = seen.unready.is_some() || !others.any(|other| other.takes_pods);
    let waits = keeps_pods || held == HeldPods::Wait;
    let guarded = living.cluster.guarded.iter();
    for guarded in guarded.filter(|guarded| !waits && guarded.node == node) {
        why.push(judge::is_held(guarded));
    }
    if !why.is_empty() {
        return Err(refused(node, why));
    }
    Ok(Return {
        node: node.to_owned(),
        from,
        release: release.clone(),
        keeps_pods,
    })
}

fn refused(node: &str, why: Vec<String>) -> PipelineError {
    PipelineError::NoRollback {
        node: node.to_owned(),
        why,
    }
}

/// Looks at the hosts, and does nothing else.
pub fn look_back(site: &Site, back: &Return, emptying: Emptying) -> Result<Graph, PipelineError> {
    let at = before(site, back, emptying);
    let stages = vec![module::preflight(&at)];
    Graph::of(Plan::new("roll back", stages)).map_err(PipelineError::Plan)
}

/// The site as it was with the release before.
fn before(site: &Site, back: &Return, emptying: Emptying) -> Site {
    let hop = (back.release.clone(), Stand::Begun);
    let way = Way {
        from: back.from.clone(),
        hops: vec![hop.clone()],
        scope: Scope::Nodes(vec![back.node.clone()]),
        etcd_first: None,
        spared: back
            .keeps_pods
            .then(|| back.node.clone())
            .into_iter()
            .collect(),
        remarks: Vec::new(),
        snapshots: 0,
    };
    at(site, &way, &hop, emptying)
}

/// The plan: the node alone, emptied first, and heard of again.
pub fn roll_back(site: &Site, back: &Return, emptying: Emptying) -> Result<Graph, PipelineError> {
    let at = before(site, back, emptying);
    let missing = at.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let stages = vec![
        module::uncordon(&at),
        module::prepare(&at),
        module::roll_back(&at, &back.node),
    ];
    Graph::of(Plan::new("roll back", stages)).map_err(PipelineError::Plan)
}
