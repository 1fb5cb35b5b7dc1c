use engine::{DryState, Graph, Inventory, Plan, Slot};
use module::{HostSeen, NodeSeen, Occasion, Site};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// Proves that a cluster works, and changes nothing that stays.
pub fn check(site: &Site) -> Result<Graph, PipelineError> {
    let stages = vec![module::proof(site, Occasion::Check)];
    Graph::of(Plan::new("check", stages)).map_err(PipelineError::Plan)
}

/// The nodes that a cluster has, as the first master that answers tells them.
pub async fn nodes(
    inventory: &Inventory,
    cancel: &CancellationToken,
) -> Result<Vec<NodeSeen>, PipelineError> {
    let seen = Slot::new("the nodes");
    let graph = Graph::of(Plan::new("get nodes", vec![module::nodes(seen.clone())]))?;
    let asked = engine::dry_run(&graph, inventory, 1, cancel).await;
    if let Some(nodes) = seen.get() {
        return Ok(nodes.clone());
    }
    let because = asked.into_iter().find_map(|node| match node.state {
        DryState::Unknown { because } => Some(because),
        DryState::Satisfied | DryState::Needed { .. } => None,
    });
    Err(PipelineError::Unanswered(because.unwrap_or_default()))
}

/// The hosts of a site in the order of its config, each as it tells of itself, or why it does not.
pub async fn hosts(
    site: &Site,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<Vec<(String, Result<HostSeen, String>)>, PipelineError> {
    let names = site.cluster.spec.hosts.iter().map(|host| host.name.clone());
    let hosts: Vec<(String, Slot<HostSeen>)> =
        names.map(|name| (name.clone(), Slot::new(&name))).collect();
    let graph = Graph::of(Plan::new("get hosts", vec![module::hosts(site, &hosts)]))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let why = |host: &str| {
        let of_host = asked.iter().find(|dry| dry.node.host == host);
        match of_host.map(|dry| &dry.state) {
            Some(DryState::Unknown { because }) => because.clone(),
            _ => "it was not asked".to_owned(),
        }
    };
    let seen = hosts.iter().map(|(name, slot)| {
        let seen = slot.get().cloned();
        (name.clone(), seen.ok_or_else(|| why(name)))
    });
    Ok(seen.collect())
}
