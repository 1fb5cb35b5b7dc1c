use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use serde_json::{Value, json};

use crate::kube::kubectl::{ask_json, ask_kubectl};
use crate::kube::objects::Node;
use crate::shell::refused;

/// The taint of every node that is cordoned.
pub(crate) const CORDON: &str = "node.kubernetes.io/unschedulable";
/// On a node that kubexm has cordoned, and nobody before it.
const MARK: &str = "kubexm.io/cordoned-by-kubexm";

/// Has a node take no more pods. Whether it was so before is noted on the node itself, for [`UncordonNode`](crate::UncordonNode)
/// of whichever run.
pub struct CordonNode {
    pub node: String,
}

/// A node as the cluster has it; none where it has none of this name.
pub(crate) async fn node(cx: &Cx, name: &str) -> Result<Option<Node>, StepError> {
    let trying = format!("ask the cluster for the node {name}");
    let output = ask_json(cx, &["node", name, "--ignore-not-found"]).await?;
    if !output.ok() {
        return Err(StepError::passing(refused(&trying, &output).to_string()));
    }
    if output.stdout.is_empty() {
        return Ok(None);
    }
    let node = serde_json::from_slice(&output.stdout);
    node.map(Some)
        .map_err(|error| StepError::new(format!("cannot {trying}: {error}")))
}

/// Whether kubexm has cordoned it. A mark on a node that takes pods says nothing any more: somebody has uncordoned it.
pub(crate) fn is_marked(node: &Node) -> bool {
    node.spec.unschedulable && has_mark(node)
}

/// Whether kubexm had cordoned it at some time, and has not uncordoned it since.
pub(crate) fn has_mark(node: &Node) -> bool {
    node.metadata.annotations.contains_key(MARK)
}

/// How people uncordon a node that kubexm has cordoned, so that nothing of it is left.
pub(crate) fn by_hand(node: &str) -> String {
    format!("kubectl uncordon {node} && kubectl annotate node {node} {MARK}-")
}

pub(crate) async fn cordon(cx: &Cx, node: &Node) -> Result<(), StepError> {
    if node.spec.unschedulable {
        return Ok(());
    }
    let marked =
        json!({"metadata": {"annotations": {MARK: "true"}}, "spec": {"unschedulable": true}});
    patch(cx, &node.metadata.name, "cordon", &marked).await
}

pub(crate) async fn uncordon(cx: &Cx, node: &Node) -> Result<(), StepError> {
    let bare = json!({"metadata": {"annotations": {MARK: null}}, "spec": {"unschedulable": null}});
    patch(cx, &node.metadata.name, "uncordon", &bare).await
}

async fn patch(cx: &Cx, node: &str, act: &str, patch: &Value) -> Result<(), StepError> {
    let patch = format!("--patch={patch}");
    let output = ask_kubectl(cx, &["patch", "node", node, "--type=merge", &patch]).await?;
    if output.ok() {
        Ok(())
    } else {
        Err(refused(&format!("{act} {node}"), &output))
    }
}

#[async_trait]
impl Step for CordonNode {
    fn id(&self) -> String {
        format!("cordon {}", self.node)
    }

    fn describe(&self) -> String {
        format!("have {} take no more pods", self.node)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match node(cx, &self.node).await? {
            Some(node) if !node.spec.unschedulable => State::needed("takes pods"),
            Some(_) | None => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        match node(cx, &self.node).await? {
            Some(node) => cordon(cx, &node).await,
            None => Ok(()),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
