mod marks;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use serde_json::Value;

pub use marks::{InvalidTaint, NodeMarks, Taint};

use crate::kube::kubectl::{ask_json, ask_kubectl, get_json};
use crate::shell::refused;

/// Has the cluster's nodes bear the labels and taints that the config gives them, through kubectl on a master. What
/// others have set stays; what kubexm has set before and is wanted no more is taken away.
pub struct MarkNodes {
    /// By node.
    pub marks: BTreeMap<String, NodeMarks>,
}

impl MarkNodes {
    /// The changes by node, and the nodes that are not there.
    fn compare(&self, nodes: &Value) -> (Vec<(&str, Value)>, Vec<&str>) {
        let items = nodes["items"].as_array().map_or(&[][..], Vec::as_slice);
        let (mut changes, mut absent) = (Vec::new(), Vec::new());
        for (name, marks) in &self.marks {
            match items.iter().find(|node| node["metadata"]["name"] == **name) {
                Some(node) => changes.extend(marks.patch(node).map(|patch| (&**name, patch))),
                None => absent.push(&**name),
            }
        }
        (changes, absent)
    }
}

async fn patch(cx: &Cx, node: &str, patch: &Value) -> Result<(), StepError> {
    let patch = format!("--patch={patch}");
    let output = ask_kubectl(cx, &["patch", "node", node, "--type=merge", &patch]).await?;
    if output.ok() {
        return Ok(());
    }
    let error = refused(&format!("label and taint {node}"), &output);
    // Somebody has changed the node since it was read: then it is read again.
    Err(if error.to_string().contains("has been modified") {
        StepError::passing(error.to_string())
    } else {
        error
    })
}

#[async_trait]
impl Step for MarkNodes {
    fn id(&self) -> String {
        "mark nodes".to_owned()
    }

    fn describe(&self) -> String {
        "label and taint the nodes".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?}", self.marks)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let answer = ask_json(cx, &["nodes"]).await?;
        let Ok(nodes) = serde_json::from_slice(&answer.stdout) else {
            return Ok(State::needed(answer.last_words()));
        };
        let (changes, absent) = self.compare(&nodes);
        let names: Vec<&str> = changes.iter().map(|(name, _)| *name).collect();
        Ok(match (names.is_empty(), absent.is_empty()) {
            (true, true) => State::Satisfied,
            (false, _) => State::needed(format!("those of {} differ", names.join(", "))),
            (true, false) => State::needed(not_joined(&absent)),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let nodes: Value = get_json(cx, &["nodes"]).await?;
        let (changes, absent) = self.compare(&nodes);
        for (name, change) in changes {
            patch(cx, name, &change).await?;
        }
        if absent.is_empty() {
            Ok(())
        } else {
            Err(StepError::new(not_joined(&absent)).with_hint("on the host: journalctl -u kubelet"))
        }
    }

    /// They go with the cluster.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn not_joined(absent: &[&str]) -> String {
    format!("the cluster has no node {}", absent.join(", "))
}
