use std::collections::BTreeMap;

use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};
use serde::Deserialize;

use super::{all_well, count, list};
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
                keeps_pods: webhook.rules.iter().any(Rule::is_of_new_pods),
            });
        }
    }
    Ok(mute)
}

/// Why nobody is behind a service; none where somebody is.
pub(super) async fn why_mute(cx: &Cx, service: &ServiceName) -> Result<Option<String>, StepError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Slice {
        endpoints: Vec<Endpoint>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Endpoint {
        conditions: Conditions,
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
    let mut endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
    if endpoints.any(|endpoint| endpoint.conditions.ready != Some(false)) {
        return Ok(None);
    }
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
            Ok(Some(format!("there is no service {namespace}/{name}")))
        } else {
            Err(StepError::passing(words))
        };
    }
    let service: Service = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    Ok((service.spec.kind != "ExternalName")
        .then(|| format!("service {namespace}/{name} has no ready endpoint")))
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
