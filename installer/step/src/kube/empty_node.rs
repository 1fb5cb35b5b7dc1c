use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};

use super::cordon_node::{has_mark, is_marked, node, uncordon};
use super::look_at_cluster::living;
use super::objects::Node;
use crate::check::list;
use crate::{DrainNode, UncordonNode};

/// Drains a node ahead of its turn. Where its pods do not go in time, it takes pods again: a node that stays as it was is of use
/// to somebody.
pub struct EmptyNode {
    pub drain: DrainNode,
    /// The host that asks the cluster.
    pub by: &'static str,
}

/// Lets a node take pods again when its turn is over, if it was kubexm that forbade it.
pub struct RefillNode {
    pub cordon: UncordonNode,
    /// The host that asks the cluster.
    pub by: &'static str,
}

/// The same for every node that an earlier run has left so.
pub struct UncordonAll;

impl EmptyNode {
    async fn refill(&self, cx: &Cx) -> Result<&'static str, StepError> {
        match node(cx, &self.drain.node).await? {
            Some(node) if is_marked(&node) => {
                uncordon(cx, &node).await?;
                Ok("it takes pods again")
            }
            Some(_) | None => Ok("it takes no pods, as before"),
        }
    }
}

#[async_trait]
impl Step for EmptyNode {
    fn id(&self) -> String {
        self.drain.id()
    }

    fn describe(&self) -> String {
        self.drain.describe()
    }

    fn inputs(&self) -> String {
        self.drain.inputs()
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        match self.drain.check(cx).await? {
            State::Needed(_) if !has_elsewhere(cx, &self.drain.node).await? => Ok(State::Satisfied),
            state => Ok(state),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Err(error) = self.drain.apply(cx).await else {
            return Ok(());
        };
        let now = match self.refill(cx).await {
            Ok(now) => now.to_owned(),
            Err(error) => format!("it takes no pods: {error}"),
        };
        let ended = error.and(&now);
        if ended.may_pass() || ended.is_interrupted() {
            return Err(ended);
        }
        Err(ended.with_hint(
            "give the workload another replica, or change its budget, and run the same command again; --drain-timeout waits longer",
        ))
    }

    /// Pods come back by themselves.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for RefillNode {
    fn id(&self) -> String {
        self.cordon.id()
    }

    fn describe(&self) -> String {
        self.cordon.describe()
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    fn retry(&self) -> Retry {
        PATIENT
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.cordon.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.cordon.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// An apiserver that has just been restarted may be away for a moment.
const PATIENT: Retry = Retry {
    attempts: 10,
    first_delay: std::time::Duration::from_secs(2),
};

#[async_trait]
impl Step for UncordonAll {
    fn id(&self) -> String {
        "uncordon all".to_owned()
    }

    fn describe(&self) -> String {
        "let nodes take pods again that an earlier run has left without".to_owned()
    }

    fn retry(&self) -> Retry {
        PATIENT
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let ours = ours(cx).await?;
        let names: Vec<&str> = ours.iter().map(|it| it.metadata.name.as_str()).collect();
        Ok(if names.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("kubexm has cordoned {}", names.join(", ")))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        for node in ours(cx).await? {
            uncordon(cx, &node).await?;
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Whether any other node takes its pods. Where none does, they stay: evicted they would wait for this very node.
async fn has_elsewhere(cx: &Cx, node: &str) -> Result<bool, StepError> {
    let nodes: Vec<Node> = list(cx, &["nodes"]).await?;
    let mut others = nodes.into_iter().map(living);
    Ok(others.any(|other| other.name != node && other.takes_pods && other.unready.is_none()))
}

/// The nodes that kubexm has cordoned. A mark that somebody's own uncordoning has left goes as well: a cordon that comes later
/// is not ours.
async fn ours(cx: &Cx) -> Result<Vec<Node>, StepError> {
    let mut nodes: Vec<Node> = list(cx, &["nodes"]).await?;
    nodes.retain(has_mark);
    Ok(nodes)
}
