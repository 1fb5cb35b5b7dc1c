use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use event::Progress;
use petgraph::graph::NodeIndex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::ahead::Ahead;
use crate::drive::{Ended, Ready, Skipped, Visitor, drive};
use crate::graph::{Graph, Work};
use crate::rolls::Look;
use crate::{Cx, Inventory, NodeView, State};

/// A node of the plan and what the host says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DryNode {
    #[serde(flatten)]
    pub node: NodeView,
    #[serde(flatten)]
    pub state: DryState,
}

/// Whether a step would do anything now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DryState {
    Satisfied,
    Needed {
        reason: String,
    },
    /// The host could not say, e.g. because it is down, or because what the check asks is not there yet.
    Unknown {
        because: String,
    },
}

/// Checks every step of a graph and applies none. What is behind a step that is not satisfied is checked all the same.
pub async fn dry_run(
    graph: &Graph,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Vec<DryNode> {
    let asker = Asker {
        inventory,
        ahead: Ahead::of(graph),
        states: Mutex::default(),
    };
    drive(graph, jobs, cancel, &asker).await;
    let mut states = asker
        .states
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    graph
        .view()
        .into_iter()
        .map(|node| {
            let state = states.remove(&NodeIndex::new(node.id));
            let interrupted = || DryState::Unknown {
                because: "the run was interrupted".to_owned(),
            };
            DryNode {
                node,
                state: state.unwrap_or_else(interrupted),
            }
        })
        .collect()
}

struct Asker<'a> {
    inventory: &'a Inventory,
    ahead: Ahead<'a>,
    states: Mutex<HashMap<NodeIndex, DryState>>,
}

impl Visitor for Asker<'_> {
    async fn visit(&self, ready: Ready<'_>) -> Ended {
        let state = self.ask(ready.index, ready.work).await;
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(ready.index, state);
        Ended::Succeeded
    }

    async fn look(&self, _: Ready<'_>, asked: &[(NodeIndex, &Work)]) -> Look {
        for &(index, work) in asked {
            if self.ask(index, work).await != DryState::Satisfied {
                return Look::Open;
            }
        }
        Look::Idle
    }

    fn pass(&self, ready: Ready<'_>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(ready.index, DryState::Satisfied);
    }

    fn skip(&self, _: &Work, _: Skipped) {}
}

impl Asker<'_> {
    async fn ask(&self, index: NodeIndex, work: &Work) -> DryState {
        if let Some(slot) = work.step.takes().into_iter().find(|slot| !slot.is_full()) {
            return DryState::Unknown {
                because: format!("'{}' is not there yet", slot.name()),
            };
        }
        let Some(host) = self.inventory.get(work.done_on()) else {
            return DryState::Unknown {
                because: format!("no host is called '{}'", work.done_on()),
            };
        };
        let cx = Cx::new(Arc::clone(host), Progress::unseen());
        match self.ahead.check(index, work, &cx).await {
            Ok(State::Satisfied) => DryState::Satisfied,
            Ok(State::Needed(reason)) => DryState::Needed { reason },
            Err(error) => DryState::Unknown {
                because: error.to_string(),
            },
        }
    }
}
