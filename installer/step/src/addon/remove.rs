use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use serde::Deserialize;
use serde_json::Value;

use super::inventory::{Inventory, Item, identities};
use super::{hooks, kubectl};
use crate::check::list;
use crate::kube::kubectl::ask_kubectl;
use crate::kube::objects::Metadata;

/// Takes an addon out of the cluster: by its own way out first, then what it looks after, what it runs, whom the server asks, the
/// kinds that it brought, and its namespace.
pub struct RemoveAddon {
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Volume {
    metadata: Metadata,
    spec: VolumeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VolumeSpec {
    storage_class_name: String,
    claim_ref: Option<Metadata>,
    csi: Option<Csi>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Csi {
    driver: String,
}

/// Whether there are objects of a kind that somebody has brought: `widgets.example.com`.
pub(super) async fn has_objects(cx: &Cx, definition: &str) -> Result<bool, StepError> {
    let what = [
        "get",
        definition,
        "--all-namespaces",
        "--ignore-not-found",
        "--output",
        "name",
        "--request-timeout=20s",
    ];
    let output = ask_kubectl(cx, &what).await?;
    // What nobody can tell of is not taken away.
    let unknown = output
        .last_words()
        .contains("the server doesn't have a resource type");
    Ok(!unknown && (!output.ok() || !output.text().trim().is_empty()))
}

/// What comes in one go, backwards from what depends on most.
fn groups(items: &[Item]) -> [Vec<&Item>; 4] {
    let of_own_kind = |item: &Item| {
        let (group, ..) = item.identity();
        let mut definitions = items.iter().filter(|it| it.is_definition());
        definitions.any(|it| it.name.ends_with(&format!(".{group}"))) && !item.is_definition()
    };
    let mut groups = [const { Vec::new() }; 4];
    for item in items.iter().rev().filter(|item| !item.keep) {
        let at = if item.kind == "Namespace" {
            continue;
        } else if item.is_definition() {
            3
        } else if of_own_kind(item) {
            0
        } else if item.kind.ends_with("WebhookConfiguration") || item.kind == "APIService" {
            1
        } else {
            2
        };
        groups[at].push(item);
    }
    groups
}

impl RemoveAddon {
    /// Volumes that somebody uses, and that nobody could bring any more.
    async fn insist_on_no_claims(&self, cx: &Cx, items: &[Item]) -> Result<(), StepError> {
        let names = |kind: &str| -> BTreeSet<&str> {
            let items = items.iter().filter(|item| item.kind == kind);
            items.map(|item| item.name.as_str()).collect()
        };
        let (classes, drivers) = (names("StorageClass"), names("CSIDriver"));
        if classes.is_empty() && drivers.is_empty() {
            return Ok(());
        }
        let volumes: Vec<Volume> = list(cx, &["persistentvolumes"]).await?;
        let own = |volume: &&Volume| {
            let csi = volume.spec.csi.as_ref();
            classes.contains(volume.spec.storage_class_name.as_str())
                || csi.is_some_and(|csi| drivers.contains(csi.driver.as_str()))
        };
        let claims: Vec<String> = volumes
            .iter()
            .filter(own)
            .map(|volume| match &volume.spec.claim_ref {
                Some(claim) => format!("{}/{}", claim.namespace, claim.name),
                None => format!("the volume {}", volume.metadata.name),
            })
            .collect();
        if claims.is_empty() {
            return Ok(());
        }
        Err(StepError::new(format!(
            "the addon {} cannot go: it has the volumes of {}",
            self.name,
            claims.join(", ")
        ))
        .with_hint("save what is on them, delete these claims, and run again; or put the addon back into the config"))
    }

    async fn namespace(&self, cx: &Cx, item: &Item) -> Result<(), StepError> {
        let kinds = "pods,persistentvolumeclaims,deployments,daemonsets,statefulsets,jobs,services";
        let what = ["get", kinds, "--namespace", &item.name, "--output", "name"];
        let output = ask_kubectl(cx, &what).await?;
        let text = output.text();
        if let Some(first) = text.lines().find(|line| !line.trim().is_empty()) {
            let name = &item.name;
            cx.progress.seen(
                format!("the namespace {name} stays"),
                Some(format!(
                    "the namespace {name} stays: {first} in it is not of this addon"
                )),
            );
            return Ok(());
        }
        kubectl::delete(cx, &[item]).await
    }
}

#[async_trait]
impl Step for RemoveAddon {
    fn id(&self) -> String {
        format!("remove addon {}", self.name)
    }

    fn describe(&self) -> String {
        format!("remove the addon {}", self.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Ok(match Inventory::read(cx, &self.name).await? {
            None => State::Satisfied,
            Some(inventory) => State::Needed(format!("{} is there", inventory.version)),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(mut inventory) = Inventory::read(cx, &self.name).await? else {
            return Ok(());
        };
        self.insist_on_no_claims(cx, &inventory.items).await?;
        let others = Inventory::others(cx, &self.name).await?;
        let others = identities(others.iter().flat_map(|other| &other.items));
        inventory
            .items
            .retain(|item| !others.contains(&item.identity()));
        let leaving: Vec<Value> = std::mem::take(&mut inventory.leaving);
        if !leaving.is_empty() {
            hooks::run(cx, &self.name, &leaving).await?;
            // What has run is not run again by whoever takes this up.
            inventory.items.extend(leaving.iter().map(Item::of));
            inventory.write(cx).await?;
        }
        let [custom, asked, objects, definitions] = groups(&inventory.items);
        kubectl::delete(cx, &custom).await?;
        // Whom the server must ask is asked no more before nobody is there to answer.
        kubectl::delete(cx, &asked).await?;
        kubectl::delete(cx, &objects).await?;
        let mut unused = Vec::new();
        for item in definitions {
            if has_objects(cx, &item.name).await? {
                let warning = format!(
                    "{} stays: there are objects of this kind that are not of this addon",
                    item.title()
                );
                cx.progress
                    .seen(format!("{} stays", item.title()), Some(warning));
            } else {
                unused.push(item);
            }
        }
        kubectl::delete(cx, &unused).await?;
        let mut items = inventory.items.iter();
        if let Some(namespace) = items.find(|item| item.kind == "Namespace" && !item.keep) {
            self.namespace(cx, namespace).await?;
        }
        Inventory::forget(cx, &self.name).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
