use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where a node keeps what kubexm has set on it.
const ANNOTATION: &str = "kubexm.mensylisir.io/marks";

/// Labels and taints of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMarks {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints: BTreeSet<Taint>,
}

/// What keeps pods away from a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    pub key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    pub effect: String,
}

/// The text is no taint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a taint, as key=value:Effect")]
pub struct InvalidTaint(String);

impl FromStr for Taint {
    type Err = InvalidTaint;

    /// `key=value:Effect` or `key:Effect`
    fn from_str(text: &str) -> Result<Self, InvalidTaint> {
        let (head, effect) = text
            .rsplit_once(':')
            .ok_or_else(|| InvalidTaint(text.to_owned()))?;
        let (key, value) = head.split_once('=').unwrap_or((head, ""));
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
            effect: effect.to_owned(),
        })
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, effect } = self;
        match value.as_str() {
            "" => write!(f, "{key}:{effect}"),
            value => write!(f, "{key}={value}:{effect}"),
        }
    }
}

impl Taint {
    /// A node has one taint of a key and an effect.
    fn is_same_as(&self, other: &Self) -> bool {
        self.key == other.key && self.effect == other.effect
    }
}

impl NodeMarks {
    /// What to change on this node; none if it bears these marks, and none that kubexm gave it before. It holds for the
    /// node as it was read alone: taints are one list, which others change as well.
    pub(super) fn patch(&self, node: &Value) -> Option<Value> {
        let metadata = &node["metadata"];
        let noted = &metadata["annotations"][ANNOTATION];
        let before: Self = noted
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let mut change = json!({});
        let labels = self.changed_labels(&before, &metadata["labels"]);
        if !labels.is_empty() {
            change["metadata"]["labels"] = Value::Object(labels);
        }
        let wanted = self.note();
        if *noted != wanted {
            change["metadata"]["annotations"][ANNOTATION] = wanted;
        }
        let taints = node["spec"]["taints"].as_array();
        let taints = taints.map_or(&[][..], Vec::as_slice);
        let wanted = self.changed_taints(&before, taints);
        if wanted != taints {
            change["spec"]["taints"] = Value::Array(wanted);
        }
        if change == json!({}) {
            return None;
        }
        change["metadata"]["resourceVersion"] = metadata["resourceVersion"].clone();
        Some(change)
    }

    /// The annotation; null where there is nothing to remember.
    fn note(&self) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        Value::String(json!(self).to_string())
    }

    fn changed_labels(&self, before: &Self, found: &Value) -> Map<String, Value> {
        let set = self
            .labels
            .iter()
            .filter(|(key, value)| found[key] != **value);
        let set = set.map(|(key, value)| (key.clone(), Value::from(value.clone())));
        // One that has another value by now is somebody else's.
        let ours = before.labels.iter();
        let gone =
            ours.filter(|(key, value)| !self.labels.contains_key(*key) && found[key] == **value);
        set.chain(gone.map(|(key, _)| (key.clone(), Value::Null)))
            .collect()
    }

    fn changed_taints(&self, before: &Self, found: &[Value]) -> Vec<Value> {
        let mut missing: Vec<&Taint> = self.taints.iter().collect();
        let mut taints = Vec::new();
        for value in found {
            let Ok(taint) = Taint::deserialize(value) else {
                taints.push(value.clone());
                continue;
            };
            let wanted = missing.iter().position(|wanted| wanted.is_same_as(&taint));
            match wanted.map(|at| missing.remove(at)) {
                // As it is: the cluster adds to some since when they are there.
                Some(wanted) if *wanted == taint => taints.push(value.clone()),
                Some(wanted) => taints.push(json!(wanted)),
                None if before.taints.contains(&taint) => {}
                None => taints.push(value.clone()),
            }
        }
        taints.extend(missing.into_iter().map(|taint| json!(taint)));
        taints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(labels: &[(&str, &str)], taints: &[&str]) -> NodeMarks {
        let label = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        NodeMarks {
            labels: labels.iter().map(label).collect(),
            taints: taints.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn node(marked: &NodeMarks, labels: &Value, taints: &Value) -> Value {
        let mut node = json!({
            "metadata": {"name": "a", "resourceVersion": "7", "labels": labels},
            "spec": {"taints": taints},
        });
        if !marked.note().is_null() {
            node["metadata"]["annotations"][ANNOTATION] = marked.note();
        }
        node
    }

    #[test]
    fn a_new_node_is_marked_and_what_others_set_stays() {
        let marks = marks(&[("disk", "ssd")], &["gpu=yes:NoSchedule"]);
        let others = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "t"}]);
        let node = node(&NodeMarks::default(), &json!({"zone": "a"}), &others);
        insta::assert_json_snapshot!(marks.patch(&node).unwrap(), @r#"
        {
          "metadata": {
            "annotations": {
              "kubexm.mensylisir.io/marks": "{\"labels\":{\"disk\":\"ssd\"},\"taints\":[{\"effect\":\"NoSchedule\",\"key\":\"gpu\",\"value\":\"yes\"}]}"
            },
            "labels": {
              "disk": "ssd"
            },
            "resourceVersion": "7"
          },
          "spec": {
            "taints": [
              {
                "effect": "NoExecute",
                "key": "node.kubernetes.io/not-ready",
                "timeAdded": "t"
              },
              {
                "effect": "NoSchedule",
                "key": "gpu",
                "value": "yes"
              }
            ]
          }
        }
        "#);
    }

    #[test]
    fn a_node_that_bears_its_marks_is_left_alone() {
        let marks = marks(&[("disk", "ssd")], &["gpu:NoSchedule"]);
        let labels = json!({"disk": "ssd", "zone": "a"});
        let taints = json!([{"key": "gpu", "effect": "NoSchedule", "timeAdded": "t"}]);
        assert_eq!(marks.patch(&node(&marks, &labels, &taints)), None);
        let none = NodeMarks::default();
        assert_eq!(none.patch(&node(&none, &labels, &taints)), None);
        let bare = json!({"metadata": {"name": "a"}, "spec": {}});
        assert_eq!(none.patch(&bare), None);
    }

    #[test]
    fn what_is_wanted_no_more_goes_unless_somebody_else_has_changed_it() {
        let before = marks(
            &[("disk", "ssd"), ("rack", "1")],
            &["gpu:NoSchedule", "old=1:NoExecute"],
        );
        let labels = json!({"disk": "ssd", "rack": "2"});
        let taints = json!([
            {"key": "gpu", "effect": "NoSchedule"},
            {"key": "old", "value": "2", "effect": "NoExecute"},
        ]);
        let node = node(&before, &labels, &taints);
        insta::assert_json_snapshot!(NodeMarks::default().patch(&node).unwrap(), @r#"
        {
          "metadata": {
            "annotations": {
              "kubexm.mensylisir.io/marks": null
            },
            "labels": {
              "disk": null
            },
            "resourceVersion": "7"
          },
          "spec": {
            "taints": [
              {
                "effect": "NoExecute",
                "key": "old",
                "value": "2"
              }
            ]
          }
        }
        "#);
    }

    #[test]
    fn a_taint_is_there_once_for_each_effect() {
        let wanted = marks(&[], &["a=2:NoSchedule"]);
        let taints = json!([
            {"key": "a", "value": "1", "effect": "NoSchedule"},
            {"key": "a", "value": "1", "effect": "NoExecute"},
        ]);
        let node = node(&wanted, &json!({}), &taints);
        insta::assert_json_snapshot!(wanted.patch(&node).unwrap(), @r#"
        {
          "metadata": {
            "resourceVersion": "7"
          },
          "spec": {
            "taints": [
              {
                "effect": "NoSchedule",
                "key": "a",
                "value": "2"
              },
              {
                "effect": "NoExecute",
                "key": "a",
                "value": "1"
              }
            ]
          }
        }
        "#);
    }

    #[test]
    fn a_taint_as_it_is_written() {
        for text in ["a/b=c:NoSchedule", "a:NoExecute"] {
            assert_eq!(text.parse::<Taint>().unwrap().to_string(), text);
        }
        insta::assert_snapshot!("a=b".parse::<Taint>().unwrap_err(), @"'a=b' is not a taint, as key=value:Effect");
    }
}
