use engine::{DryState, Graph, Inventory, Plan, Slot};
use module::{NodeSeen, Occasion, Site};
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
