use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::kube::cordon_node::node;
use crate::kube::kubectl::kubectl;
use crate::shell::must;

/// Has the cluster forget a node. Pods that were left on it are collected by the cluster itself.
pub struct DeleteNode {
    pub node: String,
}

#[async_trait]
impl Step for DeleteNode {
    fn id(&self) -> String {
        format!("delete node {}", self.node)
    }

    fn describe(&self) -> String {
        format!("have the cluster forget the node {}", self.node)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match node(cx, &self.node).await? {
            Some(_) => State::needed("is a node"),
            None => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let delete = [
            "delete",
            "node",
            &self.node,
            "--ignore-not-found",
            "--timeout=60s",
        ];
        let trying = format!("delete the node {}", self.node);
        must(cx, &trying, kubectl(&delete)).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
