use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};

use crate::kube::cordon_node::{by_hand, node};
use crate::kube::objects::ready;

/// Waits until the cluster has a node Ready in the boot that its host is in: what it has said of the one before is old news.
pub struct AwaitBooted {
    pub node: String,
    pub boot: Slot<String>,
}

const PATIENCE: Duration = Duration::from_mins(10);
const ASK_EVERY: Duration = Duration::from_secs(3);

impl AwaitBooted {
    async fn look(&self, cx: &Cx) -> Result<State, StepError> {
        let Ok(found) = node(cx, &self.node).await else {
            return Ok(State::needed("the cluster does not answer"));
        };
        let Some(found) = found else {
            return Ok(State::needed("the cluster has no such node"));
        };
        if self.boot.get() != Some(&found.status.node_info.boot_id) {
            return Ok(State::needed("the cluster has not heard of it since"));
        }
        Ok(match ready(&found.status.conditions) {
            Some(condition) if condition.status == "True" => State::Satisfied,
            Some(condition) => State::needed(format!("it is not Ready: {}", condition.message)),
            None => State::needed("it is not Ready"),
        })
    }
}

#[async_trait]
impl Step for AwaitBooted {
    fn id(&self) -> String {
        format!("await {}", self.node)
    }

    fn describe(&self) -> String {
        format!("wait until {} is Ready again", self.node)
    }

    fn takes(&self) -> Vec<SlotId> {
        vec![self.boot.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.look(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match cx.wait_until(PATIENCE, ASK_EVERY, || self.look(cx)).await? {
            State::Satisfied => Ok(()),
            State::Needed(why) => Err(StepError::new(format!(
                "{} was restarted and is not Ready: {why}",
                self.node
            ))
            .with_hint(format!(
                "on the host: journalctl -u kubelet; the node stays cordoned: {}",
                by_hand(&self.node)
            ))),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
