use std::collections::BTreeSet;

use engine::{Cx, StepError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::kubectl;
use crate::kube::kubectl::{ask_json, must_kubectl_with};
use crate::shell::refused;

/// Where inventories are kept, one for each addon.
const NAMESPACE: &str = "kube-system";
const LABEL: &str = "kubexm.mensylisir.io/addon";
const KEY: &str = "inventory.json";
/// Charts mark with it what shall outlive them.
const POLICY: &str = "helm.sh/resource-policy";

/// What of an addon is in the cluster, as the cluster itself notes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Inventory {
    pub name: String,
    pub version: String,
    /// Of the objects that are applied, or were being applied when a run was cut.
    pub digest: String,
    /// Whether all of it is there.
    pub done: bool,
    /// The version that was there as a whole last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
    pub items: Vec<Item>,
    /// What is run when it goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<Value>,
}

/// An object by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Item {
    pub kind: String,
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub api_version: String,
    /// It stays when its addon goes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

impl Item {
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        Self {
            kind: text(&object["kind"]),
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            api_version: text(&object["apiVersion"]),
            keep: metadata["annotations"][POLICY] == "keep",
        }
    }

    /// Just enough for kubectl to know which object is meant.
    pub fn reference(&self) -> Value {
        let mut metadata = json!({ "name": self.name });
        if !self.namespace.is_empty() {
            metadata["namespace"] = self.namespace.clone().into();
        }
        json!({ "apiVersion": self.api_version, "kind": self.kind, "metadata": metadata })
    }

    /// `Deployment metallb-system/controller`
    pub fn title(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            namespace => format!("{} {namespace}/{}", self.kind, self.name),
        }
    }

    /// An object may change the version of its part of the API, and is the same.
    pub fn identity(&self) -> (String, String, String, String) {
        let group = self
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        (
            group.to_owned(),
            self.kind.clone(),
            self.namespace.clone(),
            self.name.clone(),
        )
    }

    pub fn is_definition(&self) -> bool {
        self.kind == "CustomResourceDefinition"
    }
}

/// The identities of these.
pub(super) fn identities<'a>(
    items: impl IntoIterator<Item = &'a Item>,
) -> BTreeSet<(String, String, String, String)> {
    items.into_iter().map(Item::identity).collect()
}

fn config_map(name: &str) -> String {
    format!("kubexm-addon-{name}")
}

impl Inventory {
    pub async fn read(cx: &Cx, name: &str) -> Result<Option<Self>, StepError> {
        let what = [
            "configmap",
            "--namespace",
            NAMESPACE,
            "--ignore-not-found",
            &config_map(name),
        ];
        let output = ask_json(cx, &what).await?;
        if !output.ok() {
            return Err(refused(
                &format!("read what is there of the addon {name}"),
                &output,
            ));
        }
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(Some(Self::within(&object, name)?))
    }

    fn within(object: &Value, name: &str) -> Result<Self, StepError> {
        let text = object["data"][KEY].as_str().unwrap_or_default();
        serde_json::from_str(text).map_err(|error| {
            StepError::new(format!(
                "cannot read what is there of the addon {name}: {NAMESPACE}/{}: {error}",
                config_map(name)
            ))
            .with_hint(
                "somebody has changed it: put it back, or delete it, and what the addon once had and has no more stays",
            )
        })
    }

    /// Those of all other addons.
    pub async fn others(cx: &Cx, name: &str) -> Result<Vec<Self>, StepError> {
        let selector = format!("--selector={LABEL}");
        let what = ["configmaps", "--namespace", NAMESPACE, &selector];
        let list: Value = crate::kube::kubectl::get_json(cx, &what).await?;
        let items = list["items"].as_array().into_iter().flatten();
        let others = items.filter(|it| it["metadata"]["labels"][LABEL] != name);
        others
            .map(|it| {
                let named = it["metadata"]["labels"][LABEL].as_str().unwrap_or_default();
                Self::within(it, named)
            })
            .collect()
    }

    pub async fn write(&self, cx: &Cx) -> Result<(), StepError> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": config_map(&self.name),
                "namespace": NAMESPACE,
                "labels": { LABEL: self.name },
            },
            "data": { KEY: serde_json::to_string(self).unwrap_or_default() },
        });
        let trying = format!("note what is there of the addon {}", self.name);
        let apply = kubectl::apply();
        must_kubectl_with(cx, &trying, &apply, object.to_string().into())
            .await
            .map(drop)
    }

    pub async fn forget(cx: &Cx, name: &str) -> Result<(), StepError> {
        let item = Item {
            kind: "ConfigMap".to_owned(),
            name: config_map(name),
            namespace: NAMESPACE.to_owned(),
            api_version: "v1".to_owned(),
            keep: false,
        };
        kubectl::delete(cx, &[&item]).await
    }
}
