//! The objects of an addon, in the order in which a cluster takes them.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{AddonObjects, Hook, HookOn};
use serde_json::{Map, Value};

use super::error::AddonError;

/// Kinds in the order in which they come; those of others come between, where the empty name stands.
const ORDER: &[&str] = &[
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget",
    "PriorityClass",
    "RuntimeClass",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "CSIDriver",
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Kinds of Kubernetes that are in no namespace.
const OF_CLUSTER: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "GatewayClass",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "StorageVersionMigration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// Names the rest of a chart's object are known by.
const HOOK: &str = "helm.sh/hook";
const HOOK_WEIGHT: &str = "helm.sh/hook-weight";
const DEFINITION: &str = "CustomResourceDefinition";

/// A kind with its group, and whether it is in namespaces.
pub(crate) type Kinds = BTreeMap<(String, String), bool>;

/// `Deployment metallb-system/controller`
pub(crate) fn title(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// The objects of a text, lists of them taken apart.
pub(crate) fn read(at: &str, text: &str) -> Result<Vec<Value>, AddonError> {
    let wrong = |cause: String| AddonError::NotObjects {
        at: at.to_owned(),
        cause,
    };
    let documents = cluster::documents(text).map_err(|error| wrong(error.to_string()))?;
    let mut objects = Vec::new();
    for document in documents {
        match document.get("items").and_then(Value::as_array) {
            Some(items)
                if document["kind"]
                    .as_str()
                    .is_some_and(|kind| kind.ends_with("List")) =>
            {
                objects.extend(items.iter().cloned());
            }
            _ => objects.push(document),
        }
    }
    for object in &objects {
        let has = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let missing = [
            (has(&object["apiVersion"]), "apiVersion"),
            (has(&object["kind"]), "kind"),
            (has(&object["metadata"]["name"]), "metadata.name"),
        ];
        if let Some((_, key)) = missing.into_iter().find(|(there, _)| !there) {
            let title = title(object);
            return Err(wrong(
                format!("{title} has no {key}").replace("  ", " an object "),
            ));
        }
    }
    Ok(objects)
}

/// What is not the same in two renderings of one chart.
pub(crate) fn same_twice(first: &[Value], second: &[Value]) -> Result<(), AddonError> {
    for (one, other) in first.iter().zip(second) {
        if let Some(place) = differs(one, other) {
            return Err(AddonError::Dice {
                object: title(one),
                place,
            });
        }
    }
    if first.len() == second.len() {
        return Ok(());
    }
    let longer = if first.len() > second.len() {
        first
    } else {
        second
    };
    Err(AddonError::Dice {
        object: title(&longer[first.len().min(second.len())]),
        place: "all of it".to_owned(),
    })
}

/// Where two values differ first. What they are is not told: it may be a secret.
fn differs(one: &Value, other: &Value) -> Option<String> {
    let below = |key: String, place: String| match place.as_str() {
        "" => key,
        place => format!("{key}.{place}"),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let null = Value::Null;
            keys.into_iter().find_map(|key| {
                let (one, other) = (
                    one.get(key).unwrap_or(&null),
                    other.get(key).unwrap_or(&null),
                );
                differs(one, other).map(|place| below(key.clone(), place))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            let mut pairs = pairs.filter_map(|(at, (one, other))| {
                differs(one, other).map(|place| below(at.to_string(), place))
            });
            pairs.next()
        }
        (one, other) => (one != other).then(String::new),
    }
}

/// The kinds that these objects bring.
pub(crate) fn kinds(objects: &[Value]) -> Kinds {
    let definitions = objects.iter().filter(|it| it["kind"] == DEFINITION);
    let kind = |it: &Value| {
        let spec = &it["spec"];
        let group = spec["group"].as_str()?.to_owned();
        let kind = spec["names"]["kind"].as_str()?.to_owned();
        Some(((group, kind), spec["scope"] == "Namespaced"))
    };
    definitions.filter_map(kind).collect()
}

/// What a chart may ask the API for: each kind of these objects, by group and version.
pub(crate) fn api_versions(objects: &[Value]) -> Vec<String> {
    let mut all = Vec::new();
    for it in objects.iter().filter(|it| it["kind"] == DEFINITION) {
        let spec = &it["spec"];
        let (group, kind) = (spec["group"].as_str(), spec["names"]["kind"].as_str());
        let versions = spec["versions"].as_array().into_iter().flatten();
        for version in versions.filter_map(|version| version["name"].as_str()) {
            if let (Some(group), Some(kind)) = (group, kind) {
                all.push(format!("{group}/{version}"));
                all.push(format!("{group}/{version}/{kind}"));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}

fn group_of(object: &Value) -> &str {
    let api = object["apiVersion"].as_str().unwrap_or_default();
    api.split_once('/').map_or("", |(group, _)| group)
}

fn is_namespaced(object: &Value, known: &Kinds) -> bool {
    let kind = object["kind"].as_str().unwrap_or_default();
    let key = (group_of(object).to_owned(), kind.to_owned());
    if let Some(namespaced) = known.get(&key) {
        return *namespaced;
    }
    !OF_CLUSTER.contains(&kind) && !kind.starts_with("Cluster")
}

fn rank(object: &Value) -> usize {
    let kind = object["kind"].as_str().unwrap_or_default();
    let at = |kind: &str| ORDER.iter().position(|known| *known == kind);
    at(kind).or_else(|| at("")).unwrap_or(ORDER.len())
}

/// When an object that does something once comes, and in what place among others.
struct Moment {
    before: bool,
    after: bool,
    leaving: bool,
    on: HookOn,
    weight: i64,
}

/// None for what is no hook. A hook for none of the moments that kubexm knows, as tests are, is in no place.
fn moment(object: &Value) -> Option<Moment> {
    let annotations = &object["metadata"]["annotations"];
    let hooks: Vec<&str> = annotations[HOOK]
        .as_str()?
        .split(',')
        .map(str::trim)
        .collect();
    let has = |name: &str| hooks.contains(&name);
    let on = |install: &str, upgrade: &str| match (has(install), has(upgrade)) {
        (true, true) => Some(HookOn::Both),
        (true, false) => Some(HookOn::Install),
        (false, true) => Some(HookOn::Upgrade),
        (false, false) => None,
    };
    let (before, after) = (
        on("pre-install", "pre-upgrade"),
        on("post-install", "post-upgrade"),
    );
    let weight = annotations[HOOK_WEIGHT].as_str();
    Some(Moment {
        before: before.is_some(),
        after: after.is_some(),
        leaving: has("pre-delete"),
        on: before.or(after).unwrap_or(HookOn::Both),
        weight: weight.and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

/// Sorts the objects of an addon into what comes when. `known` are the kinds that addons before it bring.
pub(crate) fn sorted(
    mut made: AddonObjects,
    mut objects: Vec<Value>,
    upgraded: Vec<Value>,
    known: &Kinds,
) -> AddonObjects {
    // What only an upgrade runs is in the rendering of an upgrade alone.
    let there: BTreeSet<String> = objects.iter().map(identity).collect();
    let only = upgraded
        .into_iter()
        .filter(|it| moment(it).is_some() && !there.contains(&identity(it)));
    objects.extend(only.collect::<Vec<_>>());
    let own = kinds(&objects);
    let mut all = known.clone();
    all.extend(own.clone());
    objects.iter_mut().for_each(without_empty_authorities);
    let asks = objects.iter().any(|it| {
        it["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("WebhookConfiguration"))
    });
    objects.sort_by_key(rank);
    let mut hooks = Vec::new();
    for mut object in objects {
        if is_namespaced(&object, &all) {
            let metadata = object["metadata"].as_object_mut();
            let metadata = metadata.map(|it| it.entry("namespace").or_insert(Value::Null));
            if let Some(namespace @ Value::Null) = metadata {
                *namespace = made.namespace.clone().into();
            }
        }
        if let Some(moment) = moment(&object) {
            hooks.push((moment, object));
        } else if object["kind"] == DEFINITION {
            made.definitions.push(object);
        } else if object["kind"] == "Namespace"
            && object["metadata"]["name"] == made.namespace.as_str()
        {
            let labels = object["metadata"]["labels"].as_object();
            let own = labels.into_iter().flatten();
            let own =
                own.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            let own: Vec<_> = own.collect();
            for (key, value) in own {
                made.namespace_labels.entry(key).or_insert(value);
            }
        } else if asks && own.contains_key(&(group_of(&object).to_owned(), kind(&object))) {
            made.custom.push(object);
        } else {
            made.objects.push(object);
        }
    }
    hooks.sort_by_key(|(moment, _)| moment.weight);
    for (moment, object) in hooks {
        let hook = |object: Value| Hook {
            on: moment.on,
            object,
        };
        if moment.before {
            made.before.push(hook(object.clone()));
        }
        if moment.after {
            made.after.push(hook(object.clone()));
        }
        if moment.leaving {
            made.leaving.push(hook(object));
        }
    }
    made
}

/// Takes out authorities that say nothing: somebody fills them in at the site, and applying ours again would empty them.
fn without_empty_authorities(value: &mut Value) {
    const NOTHING: [&str; 4] = ["", "Cg==", "XG4=", "IA=="];
    match value {
        Value::Object(map) => {
            let empty = map.get("caBundle").and_then(Value::as_str);
            if empty.is_some_and(|text| NOTHING.contains(&text.trim())) {
                map.remove("caBundle");
            }
            map.values_mut().for_each(without_empty_authorities);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty_authorities),
        _ => {}
    }
}

fn kind(object: &Value) -> String {
    object["kind"].as_str().unwrap_or_default().to_owned()
}

fn identity(object: &Value) -> String {
    format!("{} {}", group_of(object), title(object))
}

/// Every object, whenever it comes.
pub(crate) fn all(made: &AddonObjects) -> impl Iterator<Item = &Value> {
    let hooks = made.before.iter().chain(&made.after).chain(&made.leaving);
    made.definitions
        .iter()
        .chain(&made.objects)
        .chain(&made.custom)
        .chain(hooks.map(|hook| &hook.object))
}

/// Where nodes have their images and nobody to ask: no pod may insist on asking. Returns the objects that did.
pub(crate) fn never_ask(made: &mut AddonObjects) -> Vec<String> {
    let mut told = Vec::new();
    let hooks = made
        .before
        .iter_mut()
        .chain(&mut made.after)
        .chain(&mut made.leaving);
    let objects = made
        .objects
        .iter_mut()
        .chain(&mut made.custom)
        .chain(hooks.map(|hook| &mut hook.object));
    for object in objects {
        if content_with_images(object) {
            told.push(title(object));
        }
    }
    told
}

/// Has containers take the image that is there; whether any would not have.
fn content_with_images(value: &mut Value) -> bool {
    match value {
        Value::Object(map) => {
            let mut changed = is_container(map) && content(map);
            for below in map.values_mut() {
                changed |= content_with_images(below);
            }
            changed
        }
        Value::Array(items) => {
            let mut changed = false;
            for item in items {
                changed |= content_with_images(item);
            }
            changed
        }
        _ => false,
    }
}

fn is_container(map: &Map<String, Value>) -> bool {
    let text = |key: &str| map.get(key).is_some_and(Value::is_string);
    text("image") && text("name")
}

fn content(map: &mut Map<String, Value>) -> bool {
    let image = map.get("image").and_then(Value::as_str).unwrap_or_default();
    let latest = artifact::full_reference(image).ends_with(":latest");
    let asks = match map.get("imagePullPolicy").and_then(Value::as_str) {
        Some(policy) => policy == "Always",
        None => latest,
    };
    if asks {
        map.insert("imagePullPolicy".to_owned(), "IfNotPresent".into());
    }
    asks
}
