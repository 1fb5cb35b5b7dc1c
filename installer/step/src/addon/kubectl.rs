use std::time::Duration;

use engine::{Cx, State, StepError};
use serde_json::{Value, json};

use super::inventory::Item;
use crate::kube::kubectl::{ask_kubectl_with, must_kubectl_with};
use crate::shell::refused;

/// Whose the fields are that addons set. The cluster's own objects are `kubexm`'s.
const MANAGER: &str = "--field-manager=kubexm-addons";
/// What the server says while somebody who must be asked is not there yet, or a kind is not known yet.
const NOT_YET: &[&str] = &[
    "failed calling webhook",
    "conversion webhook",
    "no endpoints available",
    "no matches for kind",
    "could not find the requested resource",
    "the server is currently unable to handle the request",
];
/// A webhook gets its certificate some time after its pods are ready.
const PATIENCE: Duration = Duration::from_mins(3);
const EVERY: Duration = Duration::from_secs(3);
/// What waits for a finalizer ends in minutes, or not at all.
const GONE: Duration = Duration::from_mins(5);

pub(super) const fn apply() -> [&'static str; 6] {
    [
        "apply",
        "--server-side",
        "--force-conflicts",
        MANAGER,
        "--filename",
        "-",
    ]
}

pub(super) const fn diff() -> [&'static str; 6] {
    [
        "diff",
        "--server-side",
        "--force-conflicts",
        MANAGER,
        "--filename",
        "-",
    ]
}

/// Several objects as one text.
pub(super) fn list<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Option<String> {
    let items: Vec<&Value> = objects.into_iter().collect();
    if items.is_empty() {
        return None;
    }
    Some(json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string())
}

/// Applies objects; where somebody must be asked who is not there yet, again until there is an answer.
pub(super) async fn bring<'a>(
    cx: &Cx,
    trying: &str,
    objects: impl IntoIterator<Item = &'a Value>,
) -> Result<(), StepError> {
    let Some(text) = list(objects) else {
        return Ok(());
    };
    let attempt = || async {
        let output = ask_kubectl_with(cx, &apply(), text.clone().into()).await?;
        if output.ok() {
            return Ok(State::Satisfied);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let passes = |line: &str| {
            NOT_YET.iter().any(|words| line.contains(words)) || line.starts_with("Warning:")
        };
        if lines.clone().all(passes) && lines.clone().next().is_some() {
            return Ok(State::Needed(output.last_words()));
        }
        Err(refused(trying, &output))
    };
    match cx.try_until(PATIENCE, EVERY, attempt).await? {
        State::Satisfied => Ok(()),
        State::Needed(said) => Err(StepError::new(format!("cannot {trying}: {said}")).with_hint(
            "who must be asked about these objects does not answer: look at the pods of its webhook",
        )),
    }
}

/// Deletes objects, and waits until they are gone. What is not there, or is of a kind that is not known any more, is gone.
pub(super) async fn delete(cx: &Cx, items: &[&Item]) -> Result<(), StepError> {
    if items.is_empty() {
        return Ok(());
    }
    // In the foreground: what is gone has taken its pods along.
    let arguments = [
        "delete",
        "--ignore-not-found",
        "--wait=false",
        "--cascade=foreground",
        "--filename",
        "-",
    ];
    let all: Vec<Value> = items.iter().map(|item| item.reference()).collect();
    let text = list(&all).unwrap_or_default();
    let output = ask_kubectl_with(cx, &arguments, text.into()).await?;
    if !output.ok() {
        // One whose kind is gone keeps the others from being looked at.
        for item in items {
            let text = item.reference().to_string();
            let output = ask_kubectl_with(cx, &arguments, text.into()).await?;
            let said = output.last_words();
            if !output.ok() && !said.contains("no matches for kind") {
                return Err(refused(&format!("delete {}", item.title()), &output));
            }
        }
    }
    let look = || async {
        let left = remaining(cx, items).await?;
        Ok(match left.first() {
            None => State::Satisfied,
            Some(first) => State::Needed(first.clone()),
        })
    };
    match cx.wait_until(GONE, EVERY, look).await? {
        State::Satisfied => Ok(()),
        State::Needed(_) => {
            let left = remaining(cx, items).await?;
            Err(StepError::new(format!(
                "not gone within {} s:\n{}",
                GONE.as_secs(),
                left.join("\n")
            ))
            .with_hint(
                "who has put the finalizer there has to let go of it: look at its pods; then run again, and it goes on from here",
            ))
        }
    }
}

/// What is still there of these, each with what holds it.
async fn remaining(cx: &Cx, items: &[&Item]) -> Result<Vec<String>, StepError> {
    let arguments = [
        "get",
        "--ignore-not-found",
        "--output",
        "json",
        "--filename",
        "-",
    ];
    let all: Vec<Value> = items.iter().map(|item| item.reference()).collect();
    let text = list(&all).unwrap_or_default();
    let output = ask_kubectl_with(cx, &arguments, text.into()).await?;
    let mut there = Vec::new();
    if output.ok() {
        there.extend(told(&output.stdout));
        return Ok(there);
    }
    for item in items {
        let text = item.reference().to_string();
        let output = ask_kubectl_with(cx, &arguments, text.into()).await?;
        if output.ok() {
            there.extend(told(&output.stdout));
        }
    }
    Ok(there)
}

fn told(answer: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let objects = match answer.get("items").and_then(Value::as_array) {
        Some(items) => items.clone(),
        None if answer.is_object() => vec![answer],
        None => Vec::new(),
    };
    let told = |object: &Value| {
        let title = Item::of(object).title();
        let finalizers = object["metadata"]["finalizers"].as_array();
        let finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
        let finalizers: Vec<&str> = finalizers.collect();
        if finalizers.is_empty() {
            format!("{title} is still there")
        } else {
            format!("{title} waits for {}", finalizers.join(", "))
        }
    };
    objects.iter().map(told).collect()
}

/// Waits until the server knows the kinds of these definitions.
pub(super) async fn establish(cx: &Cx, definitions: &[Value]) -> Result<(), StepError> {
    let names: Vec<String> = definitions
        .iter()
        .filter_map(|it| it["metadata"]["name"].as_str())
        .map(|name| format!("customresourcedefinition/{name}"))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["wait", "--for=condition=Established", "--timeout=60s"];
    arguments.extend(names.iter().map(String::as_str));
    let trying = "wait until the server knows the new kinds";
    must_kubectl_with(cx, trying, &arguments, "".into())
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_an_object_from_going_is_told() {
        let volume = json!({
            "kind": "Volume",
            "metadata": { "name": "v1", "namespace": "longhorn-system", "finalizers": ["longhorn.io", "example.com/wait"] },
        });
        let namespace = json!({ "kind": "Namespace", "metadata": { "name": "longhorn-system" } });
        let answer = json!({ "items": [volume, namespace] }).to_string();
        let said = [
            "Volume longhorn-system/v1 waits for longhorn.io, example.com/wait",
            "Namespace longhorn-system is still there",
        ];
        assert_eq!(told(answer.as_bytes()), said);
        assert_eq!(told(namespace.to_string().as_bytes()), said[1..]);
        assert!(told(b"").is_empty());
    }
}
