//! The images that objects name, wherever they name them.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{full_reference, is_reference};
use serde_json::Value;

use super::objects::title;

/// What was found in the objects of an addon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// With registry host and tag, and which objects name each.
    pub images: BTreeMap<String, BTreeSet<String>>,
    /// What may be one, and where: it is shown, and not taken.
    pub doubts: BTreeMap<String, String>,
    /// Names as images what cannot be one: the object, and the text.
    pub wrong: Vec<(String, String)>,
}

/// Looks at every text of every object.
pub(crate) fn scan<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Found {
    let mut found = Found::default();
    for object in objects {
        // Its texts are examples and explanations.
        if object["kind"] == "CustomResourceDefinition" {
            continue;
        }
        let title = title(object);
        let mut look = Look {
            title: &title,
            found: &mut found,
            path: Vec::new(),
        };
        look.value(object);
    }
    let images = &found.images;
    found.doubts.retain(|reference, _| {
        let full = full_reference(reference);
        !images.contains_key(&full)
    });
    found
}

struct Look<'a> {
    title: &'a str,
    found: &'a mut Found,
    path: Vec<String>,
}

impl Look<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, below) in map {
                    self.path.push(key.clone());
                    self.value(below);
                    self.path.pop();
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::String(text) => self.text(text),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let key = self.path.last().map_or("", String::as_str);
        if key == "image" && self.is_of_container() {
            self.image(text);
            return;
        }
        if is_image_key(key) && !text.contains(char::is_whitespace) && has_version(text) {
            self.image(text);
            return;
        }
        for (word, before) in words(text) {
            let whole = is_reference(word) && has_version(word);
            let told = whole && self.is_told();
            let named =
                before_is_image(before) && has_version(word) && is_reference(&full_reference(word));
            if told || named {
                self.take(word);
            } else if whole || (self.is_told() && is_short(word)) {
                self.doubt(word);
            }
        }
    }

    /// In a list of containers, wherever there is a pod.
    fn is_of_container(&self) -> bool {
        const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
        let above = self.path.iter().rev().nth(1);
        above.is_some_and(|list| LISTS.contains(&list.as_str()))
    }

    /// Where programs are told what to do.
    fn is_told(&self) -> bool {
        let mut keys = self.path.iter().map(String::as_str);
        keys.any(|key| ["args", "command", "env"].contains(&key))
    }

    fn image(&mut self, text: &str) {
        let full = full_reference(text);
        if is_reference(&full) {
            self.named(full);
        } else {
            let wrong = (self.title.to_owned(), text.to_owned());
            self.found.wrong.push(wrong);
        }
    }

    fn take(&mut self, word: &str) {
        self.named(full_reference(word));
    }

    fn named(&mut self, full: String) {
        let by = self.found.images.entry(full).or_default();
        by.insert(self.title.to_owned());
    }

    fn doubt(&mut self, word: &str) {
        let at = format!("{} at {}", self.title, self.path.join("."));
        self.found.doubts.entry(word.to_owned()).or_insert(at);
    }
}

/// `image`, `helperImage`, `EXAMPLE_IMAGE`
fn is_image_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("image") && !key.contains('/')
}

/// Whether a tag or a digest stands behind the name. A port of a host is none.
fn has_version(text: &str) -> bool {
    if text.contains("@sha256:") {
        return true;
    }
    let last = text.rsplit('/').next().unwrap_or(text);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    tag.is_some_and(|tag| !tag.is_empty())
}

/// A name without a host, as `docker.io` has them: `longhornio/longhorn-engine:v1.12.1`.
fn is_short(word: &str) -> bool {
    let Some((name, tag)) = word.rsplit_once(':') else {
        return false;
    };
    let version = tag
        .trim_start_matches('v')
        .starts_with(|c: char| c.is_ascii_digit());
    name.contains('/') && tag.contains('.') && version && is_reference(&full_reference(word))
}

/// `image:` of YAML in a text, `--config-reloader-image=` of an argument.
fn before_is_image(before: &str) -> bool {
    let before = before.trim_end_matches(['"', '\'', ' ', ':', '=']);
    before.to_ascii_lowercase().ends_with("image")
}

/// The words of a text that a reference may be, each with what stands before it on its line.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let apart = |c: char| c.is_whitespace() || "\"'=,;()[]{}<>|`".contains(c);
    text.lines().flat_map(move |line| {
        let comment = line.trim_start().starts_with('#');
        let line = if comment { "" } else { line };
        let words = line
            .split(apart)
            .filter(|word| (word.contains('/') || word.contains(':')) && !word.contains("://"));
        words.map(move |word| {
            let at = word.as_ptr() as usize - line.as_ptr() as usize;
            (word, &line[..at])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        let objects = cluster::documents(text).unwrap();
        let found = scan(&objects);
        let images = found.images.iter();
        let images = images.map(|(image, by)| format!("{image}  {by:?}"));
        let doubts = found.doubts.iter();
        let doubts = doubts.map(|(word, at)| format!("doubt: {word}  {at}"));
        let wrong = found.wrong.iter();
        let wrong = wrong.map(|(object, text)| format!("wrong: {text}  {object}"));
        let all: Vec<String> = images.chain(doubts).chain(wrong).collect();
        all.join("\n")
    }

    #[test]
    fn images_are_found_wherever_they_are_named() {
        insta::assert_snapshot!(found(
            r#"
kind: Deployment
metadata: {name: operator, namespace: a, annotations: {docs: "see https://example.com/a/b:1"}}
spec:
  template:
    spec:
      initContainers: [{name: i, image: busybox}]
      containers:
        - name: c
          image: quay.io/a/operator:v1@sha256:0000000000000000000000000000000000000000000000000000000000000000
          args:
            - --config-reloader=quay.io/a/reloader:v0.93.1
            - --solver-image=quay.io/a/solver:v1
            - --listen=127.0.0.1:8080
            - --engine
            - longhornio/engine:v1.12.1
          env: [{name: RELATED_IMAGE, value: ghcr.io/a/related:2}]
---
kind: ConfigMap
metadata: {name: helper, namespace: a}
data:
  helperPod.yaml: |
    kind: Pod
    spec:
      containers:
        # image: not/this:1
        - name: helper
          image: busybox:1.37.0
          imagePullPolicy: IfNotPresent
  other: uses registry.example.com/tools/thing:3 somewhere
---
kind: Prometheus
metadata: {name: p}
spec: {image: "quay.io/prometheus/prometheus:v3", thanosImage: quay.io/thanos/thanos:v0.42, baseImage: plain}
---
kind: CustomResourceDefinition
metadata: {name: c}
spec: {description: "for example quay.io/not/this:1"}
---
kind: Job
metadata: {name: bad}
spec: {template: {spec: {containers: [{name: c, image: "UPPER/x:{{tag}}"}]}}}
"#
        ));
    }
}
