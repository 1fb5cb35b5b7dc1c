use std::sync::Arc;

use artifact::{AddonObjects, Hook, HookOn, Sha256};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use serde_json::{Value, json};

use super::inventory::{Inventory, Item, identities};
use super::{hooks, kubectl, ready, served};
use crate::kube::kubectl::{ask_json, ask_kubectl_with};

/// Namespaces that are there before any addon, and are nobody's to change.
const OF_KUBERNETES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// kubectl reads an object twice. A controller that wrote to it in between makes a difference, which is none the next time.
const ASKS: u32 = 3;
/// What another version no longer has stays all the same: others live in it, or it is data.
const NEVER_PRUNED: [&str; 3] = ["Namespace", "PersistentVolume", "PersistentVolumeClaim"];

/// Has the cluster hold an addon: its namespace, the kinds that it brings, its objects; waits until it is ready; and takes away what
/// the version before had and this one has not.
pub struct ApplyAddon {
    pub name: String,
    /// Where its objects lie in the tree.
    pub path: Utf8PathBuf,
    pub version: String,
}

/// What lies in the tree, with its digest.
struct Made {
    objects: AddonObjects,
    digest: String,
}

impl ApplyAddon {
    fn made(&self) -> Result<Made, StepError> {
        let bytes = std::fs::read(&self.path)
            .map_err(|error| StepError::new(format!("cannot read {}: {error}", self.path)))?;
        let objects = AddonObjects::read(&bytes).map_err(|error| {
            StepError::new(format!("cannot read {}: {error}", self.path))
                .with_hint("unpack the bundle again, or make it with this kubexm")
        })?;
        Ok(Made {
            objects,
            digest: Sha256::of(&bytes).to_string(),
        })
    }
}

impl Made {
    /// Its namespace, where that is its own to make.
    fn namespace(&self) -> Option<Value> {
        let name = self.objects.namespace.as_str();
        if name.is_empty() || OF_KUBERNETES.contains(&name) {
            return None;
        }
        let labels = &self.objects.namespace_labels;
        let metadata = json!({ "name": name, "labels": labels });
        Some(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }))
    }

    /// All that stays, in the order in which it comes.
    fn lasting(&self) -> impl Iterator<Item = &Value> {
        let objects = &self.objects;
        objects
            .definitions
            .iter()
            .chain(&objects.objects)
            .chain(&objects.custom)
    }

    /// Everything that is its own in the cluster.
    fn items(&self, namespace: Option<Item>) -> Vec<Item> {
        let hooks = self.objects.before.iter().chain(&self.objects.after);
        let hooks = hooks.map(|hook| Item::of(&hook.object));
        let lasting = self.lasting().map(Item::of);
        namespace.into_iter().chain(lasting).chain(hooks).collect()
    }
}

/// What is run on this occasion.
fn due(hooks: &[Hook], first: bool) -> Vec<Value> {
    let other = if first {
        HookOn::Upgrade
    } else {
        HookOn::Install
    };
    let due = hooks.iter().filter(|hook| hook.on != other);
    due.map(|hook| hook.object.clone()).collect()
}

/// Without the names of kubectl's temporary files and their times.
fn difference(said: &str) -> String {
    let named = |line: &&str| {
        let heads = ["diff ", "--- ", "+++ "];
        heads.iter().any(|head| line.starts_with(head))
    };
    let lines = said.lines().filter(|line| !named(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[async_trait]
impl Step for ApplyAddon {
    fn id(&self) -> String {
        format!("apply addon {}", self.name)
    }

    fn describe(&self) -> String {
        format!("apply the addon {} {}", self.name, self.version)
    }

    fn inputs(&self) -> String {
        self.made().map(|made| made.digest).unwrap_or_default()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let made = self.made()?;
        let Some(inventory) = Inventory::read(cx, &self.name).await? else {
            return Ok(State::needed("is not there"));
        };
        if inventory.digest != made.digest {
            let had = inventory.whole.unwrap_or(inventory.version);
            return Ok(State::Needed(if had == self.version {
                "its objects are others".to_owned()
            } else {
                format!("is {had}")
            }));
        }
        if !inventory.done {
            return Ok(State::needed("was not applied to its end"));
        }
        let namespace = made.namespace();
        let Some(all) = kubectl::list(namespace.iter().chain(made.lasting())) else {
            return Ok(State::Satisfied);
        };
        let mut before = None;
        for _ in 0..ASKS {
            let output = ask_kubectl_with(cx, &kubectl::diff(), all.clone().into()).await?;
            match output.status {
                0 => return Ok(State::Satisfied),
                1 => {}
                _ => return Ok(State::needed(output.last_words())),
            }
            let now = Some(difference(&output.text()));
            if now == before {
                break;
            }
            before = now;
        }
        Ok(State::needed("differs"))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let made = self.made()?;
        served::insist(cx, &made.objects).await?;
        let before = Inventory::read(cx, &self.name).await?;
        let namespace = self.namespace(cx, &made, before.as_ref()).await?;
        let items = made.items(namespace);
        let before = before.unwrap_or_default();
        let leaving = made.objects.leaving.iter().map(|hook| hook.object.clone());
        let mut inventory = Inventory {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: made.digest.clone(),
            done: false,
            whole: before.whole.clone(),
            items: joined(&items, &before.items),
            leaving: leaving.collect(),
        };
        // Ahead of everything: a run that is cut leaves nothing that nobody knows of.
        inventory.write(cx).await?;
        self.bring(cx, &made, &before).await?;
        let wanted = identities(&items);
        let gone: Vec<&Item> = inventory
            .items
            .iter()
            .filter(|item| !wanted.contains(&item.identity()))
            .collect();
        let stays = self.prune(cx, &gone).await?;
        inventory.items = joined(&items, &stays);
        inventory.done = true;
        inventory.whole = Some(self.version.clone());
        inventory.write(cx).await
    }

    /// Objects go with the cluster's store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

impl ApplyAddon {
    /// Its namespace among its objects. One that was there before it stays when it goes.
    async fn namespace(
        &self,
        cx: &Cx,
        made: &Made,
        before: Option<&Inventory>,
    ) -> Result<Option<Item>, StepError> {
        let Some(namespace) = made.namespace() else {
            return Ok(None);
        };
        let item = Item::of(&namespace);
        let noted = before.and_then(|before| {
            let mut items = before.items.iter();
            items.find(|it| it.identity() == item.identity()).cloned()
        });
        if noted.is_some() {
            return Ok(noted);
        }
        let what = ["namespace", "--ignore-not-found", &item.name];
        let found = ask_json(cx, &what).await?;
        let keep = !found.stdout.iter().all(u8::is_ascii_whitespace);
        Ok(Some(Item { keep, ..item }))
    }

    async fn bring(&self, cx: &Cx, made: &Made, before: &Inventory) -> Result<(), StepError> {
        let (name, objects) = (&self.name, &made.objects);
        let trying = |what: &str| format!("apply {what} of the addon {name}");
        let namespace = made.namespace();
        kubectl::bring(cx, &trying("the namespace"), &namespace).await?;
        kubectl::bring(cx, &trying("the kinds"), &objects.definitions).await?;
        kubectl::establish(cx, &objects.definitions).await?;
        let first = before.whole.is_none();
        hooks::run(cx, name, &due(&objects.before, first)).await?;
        kubectl::bring(cx, &trying("the objects"), &objects.objects).await?;
        let running: Vec<Item> = objects.objects.iter().map(Item::of).collect();
        ready::wait_for_install(cx, name, &running).await?;
        kubectl::bring(cx, &trying("what it looks after"), &objects.custom).await?;
        hooks::run(cx, name, &due(&objects.after, first)).await
    }

    /// Takes away what this version has no more; gives back what stays all the same.
    async fn prune(&self, cx: &Cx, gone: &[&Item]) -> Result<Vec<Item>, StepError> {
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let others = Inventory::others(cx, &self.name).await?;
        let others = identities(others.iter().flat_map(|other| &other.items));
        let (mut going, mut stays) = (Vec::new(), Vec::new());
        for item in gone.iter().rev() {
            if others.contains(&item.identity()) {
                continue;
            }
            let keeps = item.keep
                || NEVER_PRUNED.contains(&item.kind.as_str())
                || (item.is_definition() && super::remove::has_objects(cx, &item.name).await?);
            if keeps {
                stays.push((*item).clone());
            } else {
                going.push(*item);
            }
        }
        kubectl::delete(cx, &going).await?;
        Ok(stays)
    }
}

/// These, and of the others those that are none of these.
fn joined(items: &[Item], others: &[Item]) -> Vec<Item> {
    let own = identities(items);
    let more = others.iter().filter(|it| !own.contains(&it.identity()));
    items.iter().chain(more).cloned().collect()
}
