//! What a manifest of Kubernetes will have nodes pull.

use std::collections::BTreeSet;

use artifact::full_reference;
use cluster::{NotDocuments, documents};
use serde_json::Value;

/// The images of all containers in all objects, with registry host and tag.
pub(crate) fn images(text: &str) -> Result<BTreeSet<String>, NotDocuments> {
    let mut images = BTreeSet::new();
    for document in documents(text)? {
        collect(&document, &mut images);
    }
    Ok(images)
}

/// Why a text cannot be the manifest that it should be. An answer of a proxy or of an API is YAML as well, and so is an
/// empty file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAManifest {
    #[error(transparent)]
    NotYaml(#[from] NotDocuments),
    #[error("there is no object in it")]
    Empty,
    #[error("something in it is no object with a kind")]
    NoKind,
    #[error("it has no {kind} with an image")]
    NoWorkload { kind: String },
}

/// Whether it is a manifest with a workload of this kind.
pub(crate) fn check(text: &str, kind: &str) -> Result<(), NotAManifest> {
    let documents = documents(text)?;
    if documents.is_empty() {
        return Err(NotAManifest::Empty);
    }
    if documents.iter().any(|document| kind_of(document).is_none()) {
        return Err(NotAManifest::NoKind);
    }
    let listed = |document: &Value| document.get("items").and_then(Value::as_array).cloned();
    let items = documents.iter().filter_map(listed).flatten();
    let mut objects = documents.iter().cloned().chain(items);
    let has_image = |object: &Value| {
        let mut images = BTreeSet::new();
        collect(object, &mut images);
        !images.is_empty()
    };
    if objects.any(|object| kind_of(&object) == Some(kind) && has_image(&object)) {
        return Ok(());
    }
    Err(NotAManifest::NoWorkload {
        kind: kind.to_owned(),
    })
}

fn kind_of(object: &Value) -> Option<&str> {
    object.get("kind")?.as_str().filter(|kind| !kind.is_empty())
}

/// The lists of containers that a pod has, wherever in an object there is a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

fn collect(value: &Value, images: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            let lists = CONTAINERS
                .iter()
                .filter_map(|key| map.get(*key)?.as_array());
            let named = lists
                .flatten()
                .filter_map(|item| item.get("image")?.as_str());
            images.extend(named.map(full_reference));
            map.values().for_each(|below| collect(below, images));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, images)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_where_containers_are_and_nowhere_else() {
        let text = "
kind: DaemonSet
metadata: {name: a, annotations: {image: not/this:1}}
spec:
  template:
    spec:
      # image: nor/this:1
      initContainers: [{name: i, image: quay.io/a/init:1}]
      containers:
        - {name: c, image: 'quay.io/a/main:1', env: [{name: image, value: nor/that:1}]}
        - {name: d, image: busybox}
---
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: ghcr.io/b/job:2}]}}}}}
---
kind: List
items:
  - kind: Pod
    spec: {containers: [{name: c, image: quay.io/a/main:1}]}
  - kind: CustomResourceDefinition
    spec: {properties: {containers: {items: {properties: {image: {type: string}}}}}}
";
        let images = images(text).unwrap();
        let expected = [
            "docker.io/library/busybox:latest",
            "ghcr.io/b/job:2",
            "quay.io/a/init:1",
            "quay.io/a/main:1",
        ];
        assert_eq!(images.iter().collect::<Vec<_>>(), expected);
    }
}
