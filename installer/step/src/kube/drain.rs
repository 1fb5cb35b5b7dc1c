use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};

use super::eviction::{Budget, Guarded, guarded, leaves};
use super::kubectl::{ask_kubectl, get_json, kubectl};
use super::objects::{Node, Pod};
use crate::check::list;
use crate::shell::{ask, refused};

/// Says on a node that it was kubexm that made it take no pods: whoever was cordoned by somebody else stays so.
pub(crate) const CORDONED: &str = "kubexm.io/cordoned";

/// Takes the pods off a node by the API of evictions, which minds budgets, and has it take no new ones. Where they do not go
/// in time, it is told which and why, and the node takes pods again.
pub struct DrainNode {
    pub node: String,
    /// The host that asks the cluster.
    pub by: &'static str,
    pub patience: Duration,
}

/// Lets a node take pods again, if it was kubexm that forbade it.
pub struct UncordonNode {
    pub node: String,
    /// The host that asks the cluster.
    pub by: &'static str,
}

/// The same for every node that an earlier run has left so.
pub struct UncordonAll;

async fn node(cx: &Cx, name: &str) -> Result<Node, StepError> {
    get_json(cx, &["node", name, "--request-timeout=20s"])
        .await
        .map_err(|error| StepError::passing(error.to_string()))
}

/// The pods that a node has and that leave it when it is drained.
async fn leaving(cx: &Cx, node: &str) -> Result<Vec<Pod>, StepError> {
    let of_node = format!("--field-selector=spec.nodeName={node}");
    let mut pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces", &of_node]).await?;
    pods.retain(leaves);
    Ok(pods)
}

async fn must(cx: &Cx, trying: &str, arguments: &[&str]) -> Result<(), StepError> {
    let output = ask_kubectl(cx, arguments).await?;
    if output.ok() {
        return Ok(());
    }
    Err(StepError::passing(refused(trying, &output).to_string()))
}

async fn uncordon(cx: &Cx, node: &str) -> Result<(), StepError> {
    let trying = format!("let {node} take pods again");
    must(cx, &trying, &["uncordon", node]).await?;
    let unmark = format!("{CORDONED}-");
    must(cx, &trying, &["annotate", "node", node, &unmark]).await
}

impl DrainNode {
    /// The note comes first: a run that is killed in between finds its own cordon.
    async fn cordon(&self, cx: &Cx) -> Result<(), StepError> {
        if node(cx, &self.node).await?.spec.unschedulable {
            return Ok(());
        }
        let trying = format!("cordon {}", self.node);
        let note = format!("{CORDONED}=upgrade");
        must(
            cx,
            &trying,
            &["annotate", "--overwrite", "node", &self.node, &note],
        )
        .await?;
        must(cx, &trying, &["cordon", &self.node]).await
    }

    async fn give_up(&self, cx: &Cx, said: &str) -> StepError {
        let why = match self.what_blocks(cx).await {
            Ok(why) => why,
            Err(error) => format!("what blocks could not be asked: {error}"),
        };
        let back = match node(cx, &self.node).await {
            Ok(node) if node.metadata.annotations.contains_key(CORDONED) => {
                match uncordon(cx, &self.node).await {
                    Ok(()) => "it takes pods again".to_owned(),
                    Err(error) => format!("it takes no pods: {error}"),
                }
            }
            _ => "it takes no pods, as before".to_owned(),
        };
        let (name, seconds) = (&self.node, self.patience.as_secs());
        StepError::new(format!(
            "{name} could not be drained within {seconds} s: {why}; {back}\nkubectl said: {said}"
        ))
        .with_hint(
            "give the workload another replica, or change its budget, and run the same command again; --drain-timeout waits longer",
        )
    }

    async fn what_blocks(&self, cx: &Cx) -> Result<String, StepError> {
        let pods = leaving(cx, &self.node).await?;
        let budgets: Vec<Budget> = list(cx, &["poddisruptionbudgets", "--all-namespaces"]).await?;
        let held = guarded(&pods, &budgets);
        let others = pods
            .iter()
            .filter(|pod| !held.iter().any(|held| held.pod == pod.title()))
            .map(|pod| format!("pod {} has not ended", pod.title()));
        let told: Vec<String> = held.iter().map(Guarded::told).chain(others).collect();
        Ok(if told.is_empty() {
            "all pods have gone by now".to_owned()
        } else {
            told.join("; ")
        })
    }
}

#[async_trait]
impl Step for DrainNode {
    fn id(&self) -> String {
        format!("drain {}", self.node)
    }

    fn describe(&self) -> String {
        format!("drain {}", self.node)
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if !node(cx, &self.node).await?.spec.unschedulable {
            return Ok(State::needed("takes pods"));
        }
        Ok(match leaving(cx, &self.node).await?.len() {
            0 => State::Satisfied,
            1 => State::needed("has 1 pod to leave it"),
            many => State::needed(format!("has {many} pods to leave it")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.cordon(cx).await?;
        let timeout = format!("--timeout={}s", self.patience.as_secs());
        let drain = kubectl(&[
            "drain",
            &self.node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            &timeout,
        ]);
        let drain = drain.timeout(self.patience + Duration::from_mins(1));
        let said = match ask(cx, drain).await {
            Ok(output) if output.ok() => return Ok(()),
            Ok(output) => output.last_words(),
            Err(error) => error.to_string(),
        };
        Err(self.give_up(cx, &said).await)
    }

    /// Pods come back by themselves.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for UncordonNode {
    fn id(&self) -> String {
        format!("uncordon {}", self.node)
    }

    fn describe(&self) -> String {
        format!("let {} take pods again", self.node)
    }

    fn done_on(&self) -> Option<&'static str> {
        Some(self.by)
    }

    fn retry(&self) -> Retry {
        PATIENT
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let node = node(cx, &self.node).await?;
        let ours = node.metadata.annotations.contains_key(CORDONED);
        Ok(if ours {
            State::needed("was cordoned by kubexm")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        uncordon(cx, &self.node).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// An apiserver that has just been restarted may be away for a moment.
const PATIENT: Retry = Retry {
    attempts: 10,
    first_delay: Duration::from_secs(2),
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
        Ok(if ours.is_empty() {
            State::Satisfied
        } else {
            State::needed(format!("{} take none", ours.join(", ")))
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

async fn ours(cx: &Cx) -> Result<Vec<String>, StepError> {
    let nodes: Vec<Node> = list(cx, &["nodes"]).await?;
    let ours = nodes
        .into_iter()
        .filter(|node| node.metadata.annotations.contains_key(CORDONED));
    Ok(ours.map(|node| node.metadata.name).collect())
}
