//! The namespace of the check's pods, and how it goes.

use std::time::Duration;

use bytes::Bytes;
use engine::{Cx, State, StepError};
use serde::Deserialize;
use serde_json::json;

use super::probe_pods::NAMESPACE;
use crate::kube::kubectl::{ask_json, kubectl, must_kubectl_with};
use crate::kube::objects::{Condition, Metadata};
use crate::shell::must;

const PATIENCE: Duration = Duration::from_secs(90);
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A part of the API has no server: whether it holds something of the namespace, nobody can say.
const UNDISCOVERED: &str = "NamespaceDeletionDiscoveryFailure";
/// That nothing is left which is known of.
const EMPTY: &str = "NamespaceContentRemaining";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    metadata: Metadata,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

impl Namespace {
    /// What keeps it.
    fn held_by(&self) -> Vec<&Condition> {
        let conditions = self.status.conditions.iter();
        conditions
            .filter(|condition| condition.status == "True")
            .collect()
    }

    /// Whether it is empty, and kept only by a part of the API that nobody serves. The pods of the check are not of that
    /// part, and nothing else ever was in it.
    fn waits_for_nothing_of_ours(&self) -> bool {
        let is_empty =
            |condition: &Condition| condition.kind == EMPTY && condition.status == "False";
        let held_by = self.held_by();
        self.status.conditions.iter().any(is_empty)
            && !held_by.is_empty()
            && held_by
                .iter()
                .all(|condition| condition.kind == UNDISCOVERED)
    }
}

async fn look(cx: &Cx) -> Result<Option<Namespace>, StepError> {
    let get = [
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--request-timeout=20s",
    ];
    let answer = ask_json(cx, &get).await?;
    if !answer.ok() {
        return Err(StepError::passing(answer.last_words()));
    }
    if answer.text().trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&answer.stdout)
        .map(Some)
        .map_err(|error| {
            StepError::new(format!(
                "cannot read what the namespace {NAMESPACE} is like: {error}"
            ))
        })
}

/// Whether it is there.
pub(super) async fn is_there(cx: &Cx) -> Result<bool, StepError> {
    Ok(look(cx).await?.is_some())
}

/// Has it gone, with all that is in it.
pub(super) async fn remove(cx: &Cx) -> Result<(), StepError> {
    if look(cx).await?.is_none() {
        return Ok(());
    }
    let delete = [
        "--request-timeout=20s",
        "delete",
        "namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--wait=false",
    ];
    must(
        cx,
        &format!("delete the namespace {NAMESPACE}"),
        kubectl(&delete),
    )
    .await?;
    let gone = || async {
        let namespace = match look(cx).await {
            Err(error) if error.may_pass() => return Ok(State::needed(error.to_string())),
            namespace => namespace?,
        };
        let Some(namespace) = namespace else {
            return Ok(State::Satisfied);
        };
        if namespace.waits_for_nothing_of_ours() {
            release(cx, &namespace).await?;
        }
        let held: Vec<&str> = namespace
            .held_by()
            .iter()
            .map(|it| it.message.as_str())
            .collect();
        Ok(State::needed(if held.is_empty() {
            "it is still there".to_owned()
        } else {
            held.join("; ")
        }))
    };
    match cx.wait_until(PATIENCE, ASK_EVERY, gone).await? {
        State::Satisfied => Ok(()),
        State::Needed(why) => Err(StepError::new(format!(
            "the namespace {NAMESPACE} does not go away within {} s: {why}",
            PATIENCE.as_secs()
        ))
        .with_hint(format!(
            "kubectl get namespace {NAMESPACE} -o yaml; the next check removes what is left"
        ))),
    }
}

/// Says that nobody has to do anything with it before it may go.
async fn release(cx: &Cx, namespace: &Namespace) -> Result<(), StepError> {
    let finalize = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "uid": namespace.metadata.uid },
        "spec": { "finalizers": [] },
    });
    let path = format!("/api/v1/namespaces/{NAMESPACE}/finalize");
    let replace = [
        "--request-timeout=20s",
        "replace",
        "--raw",
        &path,
        "--filename",
        "-",
    ];
    let trying = format!("let go of the namespace {NAMESPACE}");
    must_kubectl_with(cx, &trying, &replace, Bytes::from(finalize.to_string()))
        .await
        .map(drop)
}
