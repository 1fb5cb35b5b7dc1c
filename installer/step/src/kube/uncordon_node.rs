use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::kube::cordon_node::{is_marked, node, uncordon};

/// Has a node take pods again that kubexm has cordoned. One that somebody else had cordoned before stays so.
pub struct UncordonNode {
    pub node: String,
}

#[async_trait]
impl Step for UncordonNode {
    fn id(&self) -> String {
        format!("uncordon {}", self.node)
    }

    fn describe(&self) -> String {
        format!("have {} take pods as before", self.node)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match node(cx, &self.node).await? {
            Some(node) if is_marked(&node) => State::needed("kubexm has cordoned it"),
            Some(_) | None => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match node(cx, &self.node).await? {
            Some(node) if is_marked(&node) => uncordon(cx, &node).await,
            Some(_) | None => Ok(()),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
