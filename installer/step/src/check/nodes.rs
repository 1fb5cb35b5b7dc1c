use std::collections::BTreeSet;

use async_trait::async_trait;
use engine::{Cx, Question, Retry, Slot, SlotId, State, StepError};
use serde::Serialize;

use super::{all_well, count, list};
use crate::kube::objects::{Node, ready};

/// Every node of the config is registered and Ready, with the kubelet and the runtime that the bundle brought.
pub struct ProveNodes {
    pub nodes: Vec<String>,
    /// `v1.36.2`
    pub kubelet: String,
    /// `containerd://2.2.1`; none where the bundle does not say.
    pub runtime: Option<String>,
    pub patience: Retry,
}

#[async_trait]
impl Question for ProveNodes {
    fn id(&self) -> String {
        "prove nodes".to_owned()
    }

    fn describe(&self) -> String {
        "all nodes are Ready".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found: Vec<Node> = list(cx, &["nodes"]).await?;
        let mut troubles = Vec::new();
        for name in &self.nodes {
            match found.iter().find(|node| node.metadata.name == *name) {
                None => troubles.push(format!("{name} is not registered")),
                Some(node) => troubles.extend(self.trouble(node)),
            }
        }
        all_well(&troubles).map_err(|error| {
            error.with_hint("on the node: systemctl status kubelet; journalctl -u kubelet -n 50")
        })?;
        let known: BTreeSet<&str> = self.nodes.iter().map(String::as_str).collect();
        let unknown: Vec<&str> = found
            .iter()
            .map(|node| node.metadata.name.as_str())
            .filter(|name| !known.contains(name))
            .collect();
        let warning = (!unknown.is_empty()).then(|| {
            format!(
                "the config does not list {}: add it there, or take it out of the cluster with kubexm delete node",
                unknown.join(", ")
            )
        });
        let mut parts = vec![count(self.nodes.len() as u64, "node"), self.kubelet.clone()];
        parts.extend(self.runtime.clone());
        cx.progress.seen(parts.join(", "), warning);
        Ok(State::Satisfied)
    }
}

impl ProveNodes {
    fn trouble(&self, node: &Node) -> Vec<String> {
        let name = &node.metadata.name;
        let mut troubles = Vec::new();
        match ready(&node.status.conditions) {
            Some(condition) if condition.status == "True" => {}
            Some(condition) => troubles.push(format!(
                "{name} is not Ready: {}: {}",
                condition.reason, condition.message
            )),
            None => troubles.push(format!("{name} has not reported yet")),
        }
        let info = &node.status.node_info;
        if info.kubelet_version != self.kubelet {
            troubles.push(format!(
                "{name} runs kubelet {}, not {}",
                info.kubelet_version, self.kubelet
            ));
        }
        if let Some(runtime) = &self.runtime
            && release(&info.container_runtime_version) != *runtime
        {
            troubles.push(format!(
                "{name} runs {}, not {runtime}",
                info.container_runtime_version
            ));
        }
        troubles
    }
}

/// Who built a program, and whether it wears a v, makes no other release of it.
fn release(runtime: &str) -> String {
    let release = runtime.split('+').next().unwrap_or(runtime);
    release.replace("://v", "://")
}

/// A node as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeSeen {
    pub name: String,
    /// `Ready`, `NotReady,SchedulingDisabled`
    pub status: String,
    pub roles: Vec<String>,
    pub version: String,
    pub runtime: String,
    pub addresses: Vec<String>,
}

/// Asks the cluster for its nodes.
pub struct LookAtNodes {
    pub nodes: Slot<Vec<NodeSeen>>,
}

#[async_trait]
impl Question for LookAtNodes {
    fn id(&self) -> String {
        "look at nodes".to_owned()
    }

    fn describe(&self) -> String {
        "ask the cluster for its nodes".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.nodes.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let found: Vec<Node> = list(cx, &["nodes"]).await?;
        self.nodes.fill(found.into_iter().map(seen).collect());
        Ok(State::Satisfied)
    }
}

const ROLE: &str = "node-role.kubernetes.io/";

fn seen(node: Node) -> NodeSeen {
    let status = match ready(&node.status.conditions).map(|condition| condition.status.as_str()) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        _ => "Unknown",
    };
    let cordoned = if node.spec.unschedulable {
        ",SchedulingDisabled"
    } else {
        ""
    };
    let roles = node.metadata.labels.keys();
    let addresses = node.status.addresses.into_iter();
    NodeSeen {
        name: node.metadata.name,
        status: format!("{status}{cordoned}"),
        roles: roles
            .filter_map(|label| label.strip_prefix(ROLE))
            .map(str::to_owned)
            .collect(),
        version: node.status.node_info.kubelet_version,
        runtime: node.status.node_info.container_runtime_version,
        addresses: addresses
            .filter(|address| address.kind == "InternalIP")
            .map(|address| address.address)
            .collect(),
    }
}
