use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};
use serde::Deserialize;

use super::{all_well, count, list};
use crate::kube::eviction::Selector;
use crate::kube::kubectl::ask_json;
use crate::kube::objects::Metadata;

/// Whoever the apiserver has to ask before it takes something new is there to be asked.
pub struct ProveWebhooks {
    pub patience: Retry,
}

const KINDS: &str = "validatingwebhookconfigurations,mutatingwebhookconfigurations";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    kind: String,
    metadata: Metadata,
    webhooks: Vec<Webhook>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Webhook {
    name: String,
    failure_policy: Option<String>,
    client_config: Client,
    rules: Vec<Rule>,
    namespace_selector: Option<Selector>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Client {
    service: Option<ServiceName>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(default)]
pub(super) struct ServiceName {
    pub namespace: String,
    pub name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    api_groups: Vec<String>,
    operations: Vec<String>,
    resources: Vec<String>,
}

impl Rule {
    /// Whether a new pod comes by it.
    fn is_of_new_pods(&self) -> bool {
        let has = |list: &[String], wanted: &[&str]| {
            list.iter().any(|item| wanted.contains(&item.as_str()))
        };
        has(&self.api_groups, &["", "*"])
            && has(&self.operations, &["CREATE", "*"])
            && has(&self.resources, &["pods", "*", "*/*"])
    }
}

impl Webhook {
    /// Without an answer of it nothing is taken.
    fn must_answer(&self) -> bool {
        self.failure_policy.as_deref() != Some("Ignore")
    }

    fn guards_new_pods(&self) -> bool {
        self.rules.iter().any(Rule::is_of_new_pods)
    }

    /// Whether it is asked about what is in the system's own namespace.
    fn reaches_system(&self) -> bool {
        let name = ("kubernetes.io/metadata.name".to_owned(), SYSTEM.to_owned());
        let labels = BTreeMap::from([name]);
        let selector = self.namespace_selector.as_ref();
        selector.is_none_or(|selector| selector.selects(&labels))
    }
}

const SYSTEM: &str = "kube-system";

/// A webhook that must be asked about every new pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSeen {
    pub name: String,
    /// `validatingwebhookconfiguration policies`: what kubectl takes.
    pub configuration: String,
    /// Why it does not answer.
    pub mute: Option<String>,
    /// The nodes that its servers are on; none where it has servers elsewhere.
    pub on: Vec<String>,
    /// It is asked about the system's own pods as well.
    pub reaches_system: bool,
}

/// The webhooks that must be asked about every new pod.
pub(crate) async fn guards_of_pods(cx: &Cx) -> Result<Vec<WebhookSeen>, StepError> {
    let configurations: Vec<Configuration> = list(cx, &[KINDS]).await?;
    let mut seen = Vec::new();
    for configuration in &configurations {
        let webhooks = configuration.webhooks.iter();
        for webhook in webhooks.filter(|hook| hook.must_answer() && hook.guards_new_pods()) {
            let backing = match &webhook.client_config.service {
                Some(service) => backing(cx, service).await?,
                None => Backing::default(),
            };
            let (kind, name) = (&configuration.kind, &configuration.metadata.name);
            seen.push(WebhookSeen {
                name: webhook.name.clone(),
                configuration: format!("{} {name}", kind.to_lowercase()),
                mute: backing.why_mute,
                on: backing.nodes.into_iter().collect(),
                reaches_system: webhook.reaches_system(),
            });
        }
    }
    Ok(seen)
}

/// A webhook that must answer and cannot.
struct Mute {
    told: String,
    keeps_pods: bool,
}

async fn mute(cx: &Cx) -> Result<Vec<Mute>, StepError> {
    let configurations: Vec<Configuration> = list(cx, &[KINDS]).await?;
    let mut asked: BTreeMap<ServiceName, Option<String>> = BTreeMap::new();
    let mut mute = Vec::new();
    for configuration in &configurations {
        for webhook in configuration
            .webhooks
            .iter()
            .filter(|hook| hook.must_answer())
        {
            let Some(service) = &webhook.client_config.service else {
                continue;
            };
            if !asked.contains_key(service) {
                asked.insert(service.clone(), why_mute(cx, service).await?);
            }
            let Some(Some(why)) = asked.get(service) else {
                continue;
            };
            let (kind, name) = (&configuration.kind, &configuration.metadata.name);
            mute.push(Mute {
                told: format!(
                    "webhook {} ({kind} {name}) does not answer: {why}",
                    webhook.name
                ),
                keeps_pods: webhook.guards_new_pods(),
            });
        }
    }
    Ok(mute)
}

/// Why nobody is behind a service; none where somebody is.
pub(super) async fn why_mute(cx: &Cx, service: &ServiceName) -> Result<Option<String>, StepError> {
    Ok(backing(cx, service).await?.why_mute)
}

/// Who is behind a service.
#[derive(Default)]
struct Backing {
    why_mute: Option<String>,
    nodes: BTreeSet<String>,
}

async fn backing(cx: &Cx, service: &ServiceName) -> Result<Backing, StepError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Slice {
        endpoints: Vec<Endpoint>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Endpoint {
        conditions: Conditions,
        #[serde(rename = "nodeName")]
        node: Option<String>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Conditions {
        ready: Option<bool>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Service {
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        #[serde(rename = "type")]
        kind: String,
    }
    let ServiceName { namespace, name } = service;
    let selector = format!("--selector=kubernetes.io/service-name={name}");
    let slices = ["endpointslices", "--namespace", namespace, &selector];
    let slices: Vec<Slice> = list(cx, &slices).await?;
    let endpoints = slices.into_iter().flat_map(|slice| slice.endpoints);
    let ready = endpoints.filter(|endpoint| endpoint.conditions.ready != Some(false));
    let ready: Vec<Endpoint> = ready.collect();
    if !ready.is_empty() {
        return Ok(Backing {
            why_mute: None,
            nodes: ready
                .into_iter()
                .filter_map(|endpoint| endpoint.node)
                .collect(),
        });
    }
    let mute = |why: String| Backing {
        why_mute: Some(why),
        nodes: BTreeSet::new(),
    };
    let get = [
        "service",
        "--namespace",
        namespace,
        name,
        "--request-timeout=10s",
    ];
    let answer = ask_json(cx, &get).await?;
    if !answer.ok() {
        let words = answer.last_words();
        return if words.contains("NotFound") {
            Ok(mute(format!("there is no service {namespace}/{name}")))
        } else {
            Err(StepError::passing(words))
        };
    }
    let service: Service = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    Ok(match service.spec.kind.as_str() {
        "ExternalName" => Backing::default(),
        _ => mute(format!("service {namespace}/{name} has no ready endpoint")),
    })
}

/// What keeps the cluster from taking any new pod.
pub(super) async fn in_the_way_of_pods(cx: &Cx) -> Result<Vec<String>, StepError> {
    let mute = mute(cx).await?.into_iter();
    Ok(mute
        .filter(|mute| mute.keeps_pods)
        .map(|mute| mute.told)
        .collect())
}

pub(super) const HINT: &str =
    "bring its server up, or remove its configuration: kubectl delete KIND NAME";

#[async_trait]
impl Question for ProveWebhooks {
    fn id(&self) -> String {
        "prove webhooks".to_owned()
    }

    fn describe(&self) -> String {
        "webhooks that must answer have a server".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let mute = mute(cx).await?;
        let (keeping, others): (Vec<&Mute>, Vec<&Mute>) =
            mute.iter().partition(|mute| mute.keeps_pods);
        let told = |mute: &[&Mute], what: &str| -> Vec<String> {
            let lines = mute.iter().map(|mute| format!("{}; {what}", mute.told));
            lines.collect()
        };
        let keeping = told(&keeping, "no new pod is taken without it");
        all_well(&keeping).map_err(|error| error.with_hint(HINT))?;
        let others = told(&others, "some objects are not taken without it");
        let warning = (!others.is_empty()).then(|| others.join("\n"));
        let seen = match mute.len() {
            0 => "none is without".to_owned(),
            some => format!("{} without", count(some as u64, "webhook")),
        };
        cx.progress.seen(seen, warning);
        Ok(State::Satisfied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(selector: &str, resources: &str) -> Webhook {
        let text = format!(
            r#"{{"name": "pods.policy.example", "namespaceSelector": {selector},
                "rules": [{{"apiGroups": [""], "operations": ["CREATE"], "resources": [{resources}]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_webhook_guards_new_pods_and_leaves_out_the_system_where_it_says_so() {
        let all = of("{}", r#""pods""#);
        assert!(all.must_answer() && all.guards_new_pods() && all.reaches_system());
        assert!(!of("{}", r#""nodes", "pods/status""#).guards_new_pods());
        let but = |operator: &str| {
            format!(
                r#"{{"matchExpressions": [{{"key": "kubernetes.io/metadata.name", "operator": "{operator}",
                    "values": ["kube-system"]}}]}}"#
            )
        };
        assert!(!of(&but("NotIn"), r#""*""#).reaches_system());
        assert!(of(&but("In"), r#""*""#).reaches_system());
        assert!(!of(r#"{"matchLabels": {"policy": "on"}}"#, r#""*""#).reaches_system());
    }
}
