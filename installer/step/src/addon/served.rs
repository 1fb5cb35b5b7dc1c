use std::collections::{BTreeMap, BTreeSet};

use artifact::AddonObjects;
use engine::{Cx, StepError};
use serde_json::Value;

use super::inventory::Item;
use crate::kube::kubectl::ask_kubectl;
use crate::shell::refused;

/// So many objects of one part of the API are named.
const NAMED: usize = 3;

/// Compares what an addon was rendered for with what the apiserver of the site serves, ahead of all that is applied. What its
/// programs make of their own kinds is not judged: these may come with the programs.
pub(super) async fn insist(cx: &Cx, addon: &AddonObjects) -> Result<(), StepError> {
    let output = ask_kubectl(cx, &["api-versions", "--request-timeout=20s"]).await?;
    if !output.ok() {
        return Err(refused("ask what the apiserver serves", &output));
    }
    let text = output.text();
    let served: BTreeSet<&str> = text.split_whitespace().collect();
    let own = own(addon);
    let hooks = addon.before.iter().chain(&addon.after);
    let all = hooks.map(|hook| &hook.object);
    let all = all.chain(&addon.definitions).chain(&addon.objects);
    let mut absent = BTreeMap::<&str, Vec<String>>::new();
    for object in all {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        if !served.contains(version) && !own.contains(version) {
            absent
                .entry(version)
                .or_default()
                .push(Item::of(object).title());
        }
    }
    if absent.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = absent
        .into_iter()
        .map(|(version, of)| told(version, &of))
        .collect();
    Err(StepError::new(format!(
        "the addon {} asks for parts of the API that this cluster does not serve:\n{}",
        addon.name,
        lines.join("\n")
    ))
    .with_hint(
        "a newer version of it may be for this Kubernetes; what another addon brings must stand ahead of it in spec.addons",
    ))
}

fn told(version: &str, objects: &[String]) -> String {
    let first = objects.iter().take(NAMED).map(String::as_str);
    let named = first.collect::<Vec<_>>().join(", ");
    match objects.len().saturating_sub(NAMED) {
        0 => format!("{version} ({named})"),
        more => format!("{version} ({named} and {more} more)"),
    }
}

/// The parts of the API that it brings itself.
fn own(addon: &AddonObjects) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut own = BTreeSet::new();
    for definition in &addon.definitions {
        let spec = &definition["spec"];
        for version in spec["versions"].as_array().into_iter().flatten() {
            own.insert(format!(
                "{}/{}",
                text(&spec["group"]),
                text(&version["name"])
            ));
        }
    }
    for object in addon.objects.iter().filter(|it| it["kind"] == "APIService") {
        let spec = &object["spec"];
        own.insert(format!(
            "{}/{}",
            text(&spec["group"]),
            text(&spec["version"])
        ));
    }
    own
}
