use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError, Trace};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::Instant;

use super::inventory::{Inventory, Item};
use crate::check::list;
use crate::kube::objects::{Condition, Metadata, Pod};
use crate::kube::pods::{Pace, Seen, Waited, told, wait_for};

/// Its images are pulled on every node at the same time.
const PATIENCE: Duration = Duration::from_mins(10);
/// A container that ends at once is ready for a moment each time it is started.
const STEADY: Duration = Duration::from_secs(6);
const WORKLOADS: [&str; 3] = ["Deployment", "DaemonSet", "StatefulSet"];

/// How long an addon is waited for, and how long it must then have been ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    whole: Duration,
    steady: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workload {
    kind: String,
    metadata: WorkloadMetadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkloadMetadata {
    name: String,
    generation: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<i64>,
    selector: Selector,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: i64,
    replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    ready_replicas: i64,
    desired_number_scheduled: i64,
    updated_number_scheduled: i64,
    number_available: i64,
    conditions: Vec<Condition>,
}

impl Workload {
    /// So many pods it shall have, and so many are there as it wants them.
    fn pods(&self) -> (i64, i64) {
        let status = &self.status;
        let wanted = self.spec.replicas.unwrap_or(1);
        match self.kind.as_str() {
            "DaemonSet" => (
                status.desired_number_scheduled,
                status.updated_number_scheduled.min(status.number_available),
            ),
            "StatefulSet" => (wanted, status.updated_replicas.min(status.ready_replicas)),
            _ => (
                wanted,
                status.updated_replicas.min(status.available_replicas),
            ),
        }
    }

    fn is_ready(&self) -> bool {
        let (wanted, there) = self.pods();
        let no_old = self.kind != "Deployment" || self.status.replicas <= wanted;
        self.status.observed_generation >= self.metadata.generation && there >= wanted && no_old
    }

    fn selects(&self, pod: &Pod) -> bool {
        let labels = &pod.metadata.labels;
        let wanted = &self.spec.selector.match_labels;
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// Why it has no pods, as far as it says so itself.
    fn why(&self) -> String {
        let mut conditions = self.status.conditions.iter();
        let failed = conditions.find(|it| it.kind == "ReplicaFailure" && it.status == "True");
        failed.map_or_else(String::new, |it| format!(": {}", it.message))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Served {
    metadata: Metadata,
    status: ServedStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServedStatus {
    conditions: Vec<Condition>,
}

/// What keeps these workloads and parts of the API from being ready.
pub(super) async fn look(cx: &Cx, items: &[Item], since: Timestamp) -> Result<Seen, StepError> {
    let mut seen = Seen::default();
    let own = |item: &&Item| WORKLOADS.contains(&item.kind.as_str());
    let namespaces: BTreeSet<&str> = items
        .iter()
        .filter(own)
        .map(|item| item.namespace.as_str())
        .collect();
    for namespace in namespaces {
        let what = [
            "deployments,daemonsets,statefulsets",
            "--namespace",
            namespace,
        ];
        let all: Vec<Workload> = list(cx, &what).await?;
        let named: BTreeSet<(&str, &str)> = items
            .iter()
            .filter(own)
            .filter(|item| item.namespace == namespace)
            .map(|item| (item.kind.as_str(), item.name.as_str()))
            .collect();
        let found: BTreeSet<(&str, &str)> = all
            .iter()
            .map(|it| (it.kind.as_str(), it.metadata.name.as_str()))
            .collect();
        for (kind, name) in named.difference(&found) {
            seen.lacking
                .push(format!("{kind} {namespace}/{name} is not there"));
        }
        let unready: Vec<&Workload> = all
            .iter()
            .filter(|it| named.contains(&(it.kind.as_str(), it.metadata.name.as_str())))
            .filter(|it| !it.is_ready())
            .collect();
        if unready.is_empty() {
            continue;
        }
        let pods: Vec<Pod> = list(cx, &["pods", "--namespace", namespace]).await?;
        let mut ill = Vec::new();
        for workload in unready {
            let own = pods
                .iter()
                .filter(|pod| workload.selects(pod) && !pod.is_over());
            let bad: Vec<(&Pod, String)> = own
                .filter(|pod| !pod.is_ready())
                .map(|pod| (pod, pod.why_not_ready()))
                .collect();
            if bad.is_empty() {
                let (wanted, there) = workload.pods();
                let (kind, name, why) = (&workload.kind, &workload.metadata.name, workload.why());
                seen.lacking.push(format!(
                    "{kind} {namespace}/{name} has {there} of {wanted} pods{why}"
                ));
            }
            ill.extend(bad);
        }
        seen.troubles.extend(told(cx, &ill, since).await);
    }
    seen.lacking.extend(unserved(cx, items).await?);
    Ok(seen)
}

/// Parts of the API that it serves, and that are not to be had.
async fn unserved(cx: &Cx, items: &[Item]) -> Result<Vec<String>, StepError> {
    let names: BTreeSet<&str> = items
        .iter()
        .filter(|item| item.kind == "APIService")
        .map(|item| item.name.as_str())
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<Served> = list(cx, &["apiservices"]).await?;
    let mut lacking = Vec::new();
    for it in all
        .iter()
        .filter(|it| names.contains(it.metadata.name.as_str()))
    {
        let mut conditions = it.status.conditions.iter();
        let available = conditions.find(|condition| condition.kind == "Available");
        if available.is_none_or(|condition| condition.status != "True") {
            let why = available.map_or("", |condition| condition.message.as_str());
            lacking.push(format!(
                "APIService {} is not available: {why}",
                it.metadata.name
            ));
        }
    }
    Ok(lacking)
}

/// Waits until an addon is ready, and still is a little later.
pub(super) async fn wait(
    cx: &Cx,
    name: &str,
    items: &[Item],
    patience: Patience,
) -> Result<(), StepError> {
    let runs = |item: &Item| WORKLOADS.contains(&item.kind.as_str()) || item.kind == "APIService";
    if !items.iter().any(runs) {
        return Ok(());
    }
    let steady = Mutex::new(None::<Instant>);
    let look = |since| {
        let steady = &steady;
        async move {
            let mut seen = look(cx, items, since).await?;
            let mut steady = steady.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.is_well() {
                *steady = None;
                return Ok(seen);
            }
            let began = *steady.get_or_insert_with(Instant::now);
            if began.elapsed() < patience.steady {
                seen.lacking.push(format!("whether {name} stays ready"));
            }
            Ok(seen)
        }
    };
    let (how, seen) = match wait_for(cx, Pace::patient(patience.whole), look).await? {
        Waited::Well => return Ok(()),
        Waited::Never(seen) => (
            "does not become ready, and waiting does not heal it".to_owned(),
            seen,
        ),
        Waited::Late(seen) => (
            format!("is not ready after {} s", patience.whole.as_secs()),
            seen,
        ),
    };
    let error = StepError::new(format!("the addon {name} {how}:\n{}", seen.full()));
    Err(error.with_hint(
        "what was applied stays, so that it can be looked at; correct the values of the addon, bundle and install again",
    ))
}

/// The same, as long as an install waits.
pub(super) async fn wait_for_install(cx: &Cx, name: &str, items: &[Item]) -> Result<(), StepError> {
    let patience = Patience {
        whole: PATIENCE,
        steady: STEADY,
    };
    wait(cx, name, items, patience).await
}

/// Everything that an addon runs is ready.
pub struct ProveAddon {
    pub name: String,
    pub patience: Retry,
}

#[async_trait]
impl Step for ProveAddon {
    fn id(&self) -> String {
        format!("prove addon {}", self.name)
    }

    fn describe(&self) -> String {
        format!("everything of the addon {} is ready", self.name)
    }

    fn trace(&self) -> Trace {
        Trace::Passing
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(inventory) = Inventory::read(cx, &self.name).await? else {
            return Ok(State::needed("is not there"));
        };
        let seen = look(cx, &inventory.items, Timestamp::now()).await?;
        if !seen.is_well() {
            return Ok(State::Needed(seen.brief()));
        }
        cx.progress.seen(inventory.version, None);
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let Some(inventory) = Inventory::read(cx, &self.name).await? else {
            return Err(
                StepError::new(format!("the addon {} is not there", self.name))
                    .with_hint("kubexm install brings it"),
            );
        };
        let whole = self.patience.total();
        let patience = Patience {
            whole,
            steady: STEADY.min(whole),
        };
        wait(cx, &self.name, &inventory.items, patience).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
