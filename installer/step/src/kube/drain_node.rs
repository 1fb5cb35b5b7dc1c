mod pods;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use serde_json::{Value, json};

use self::pods::{Resident, of_volume, resident};
use crate::check::list;
use crate::kube::cordon_node::{by_hand, cordon, node};
use crate::kube::eviction::{Budget, guards_of, leaves, returns};
use crate::kube::kubectl::ask_kubectl_with;
use crate::kube::objects::Pod;
use crate::shell::refused;

/// What becomes of data that is on one node alone, and of pods that nobody makes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalData {
    /// Each is named, and nothing is touched.
    Refuse,
    /// The same of what ends with its pod. The node comes back, and volumes with it.
    RefuseFleeting,
    Lose,
}

/// Has the pods of a node go elsewhere: it takes no more, and each that others can stand in for is evicted, as its disruption
/// budget allows. Pods of a `DaemonSet` and of the host's own files stay.
pub struct DrainNode {
    pub node: String,
    pub timeout: Duration,
    pub local: LocalData,
}

/// Looks, before anything is touched, whether a node holds what would be lost with it.
pub struct LookAtPods {
    pub node: String,
    pub local: LocalData,
}

const ASK_EVERY: Duration = Duration::from_secs(2);

/// The pods on it that have to go.
async fn pods_on(cx: &Cx, node: &str) -> Result<Vec<Pod>, StepError> {
    let selector = format!("--field-selector=spec.nodeName={node}");
    let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces", &selector]).await?;
    Ok(pods.into_iter().filter(leaves).collect())
}

/// Those that are there when a drain begins. One that is put back on the node, because it bears the cordon, is not evicted for
/// ever.
struct Going(BTreeSet<String>);

impl Going {
    fn of(pods: &[Pod]) -> Self {
        Self(pods.iter().map(|pod| pod.metadata.uid.clone()).collect())
    }

    fn goes(&self, pod: &Pod) -> bool {
        !returns(pod) || self.0.contains(&pod.metadata.uid)
    }
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.metadata.namespace, pod.metadata.name)
}

/// Each thing that would be lost with the node.
async fn losses(
    cx: &Cx,
    node: &str,
    local: LocalData,
    pods: &[Pod],
) -> Result<Vec<String>, StepError> {
    let mut losses = Vec::new();
    for pod in pods {
        if let Resident::Goes { loses } = resident(pod) {
            let told = loses
                .iter()
                .map(|what| format!("pod {}: {what}", name(pod)));
            losses.extend(told);
        }
    }
    if local == LocalData::RefuseFleeting {
        return Ok(losses);
    }
    let volumes: Vec<Value> = list(cx, &["persistentvolumes"]).await?;
    losses.extend(volumes.iter().filter_map(|volume| of_volume(volume, node)));
    Ok(losses)
}

async fn refuse_losses(
    cx: &Cx,
    node: &str,
    local: LocalData,
    pods: &[Pod],
) -> Result<(), StepError> {
    let losses = losses(cx, node, local, pods).await?;
    if losses.is_empty() {
        return Ok(());
    }
    Err(StepError::new(format!(
        "{node} holds what would be lost with it: {}",
        losses.join("; ")
    ))
    .with_hint("move it away, or say --delete-local-data; nothing has been touched on the node"))
}

/// Asks for the eviction of a pod. What speaks against it.
async fn evict(cx: &Cx, pod: &Pod) -> Result<Option<String>, StepError> {
    let (namespace, pod_name) = (&pod.metadata.namespace, &pod.metadata.name);
    let body = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod_name, "namespace": namespace},
    });
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod_name}/eviction");
    let create = ["create", "--raw", &path, "--filename", "-"];
    let output = ask_kubectl_with(cx, &create, body.to_string().into()).await?;
    let words = output.last_words();
    if output.ok() || words.contains("not found") {
        return Ok(None);
    }
    if words.contains("TooManyRequests") || words.contains("disruption budget") {
        return Ok(Some(words));
    }
    Err(refused(&format!("evict the pod {}", name(pod)), &output))
}

impl DrainNode {
    /// Evicts what can be evicted now. What is still there, and why.
    async fn round(&self, cx: &Cx, going: &Going) -> Result<State, StepError> {
        let mut pods = pods_on(cx, &self.node).await?;
        pods.retain(|pod| going.goes(pod));
        let mut blocked = Vec::new();
        for pod in &pods {
            if pod.metadata.deletion_timestamp.is_none()
                && let Some(why) = evict(cx, pod).await?
            {
                blocked.push((pod, why));
            }
        }
        if pods.is_empty() {
            return Ok(State::Satisfied);
        }
        if blocked.is_empty() {
            let names: Vec<String> = pods.iter().map(name).collect();
            return Ok(State::needed(format!("still there: {}", names.join(", "))));
        }
        let budgets: Vec<Budget> = list(cx, &["poddisruptionbudgets", "--all-namespaces"]).await?;
        let told = blocked.into_iter().map(|(pod, why)| {
            let guards = guards_of(pod, &budgets);
            if guards.is_empty() {
                format!("pod {}: {why}", name(pod))
            } else {
                format!("pod {}: {}", name(pod), guards.join(", "))
            }
        });
        Ok(State::needed(told.collect::<Vec<_>>().join("; ")))
    }
}

#[async_trait]
impl Step for LookAtPods {
    fn id(&self) -> String {
        format!("look at the pods of {}", self.node)
    }

    fn describe(&self) -> String {
        format!("look what would be lost with {}", self.node)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if self.local != LocalData::Lose {
            let pods = pods_on(cx, &self.node).await?;
            refuse_losses(cx, &self.node, self.local, &pods).await?;
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for DrainNode {
    fn id(&self) -> String {
        format!("drain {}", self.node)
    }

    fn describe(&self) -> String {
        format!("have the pods of {} go elsewhere", self.node)
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.timeout, self.local)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(node) = node(cx, &self.node).await? else {
            return Ok(State::Satisfied);
        };
        let mut pods = pods_on(cx, &self.node).await?;
        pods.retain(|pod| !returns(pod));
        Ok(if !pods.is_empty() {
            State::needed(format!("has {} pods", pods.len()))
        } else if !node.spec.unschedulable {
            State::needed("takes pods")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(node) = node(cx, &self.node).await? else {
            return Ok(());
        };
        if self.local != LocalData::Lose {
            let pods = pods_on(cx, &self.node).await?;
            refuse_losses(cx, &self.node, self.local, &pods).await?;
        }
        cordon(cx, &node).await?;
        let going = Going::of(&pods_on(cx, &self.node).await?);
        let drained = cx
            .try_until(self.timeout, ASK_EVERY, || self.round(cx, &going))
            .await?;
        let State::Needed(left) = drained else {
            return Ok(());
        };
        Err(StepError::new(format!(
            "{} is not drained after {} s: {left}",
            self.node,
            self.timeout.as_secs()
        ))
        .with_hint(format!(
            "see that these pods may go (kubectl get poddisruptionbudgets -A), or give more time with --drain-timeout, and run \
             again; the node stays cordoned until then: {}",
            by_hand(&self.node)
        )))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests;
