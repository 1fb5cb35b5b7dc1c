use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError};
use jiff::{SignedDuration, Timestamp};

use super::objects::{ContainerStatus, Pod};
use super::{all_well, count, list};
use crate::kubectl::ask_kubectl;

/// Every pod of the system is Ready, and none of them is restarted over and over.
pub struct ProveSystemPods {
    pub patience: Retry,
}

const NAMESPACE: &str = "kube-system";
/// So many restarts, the last of them this short ago, are no accident.
const STORM: u32 = 5;
const LATELY: SignedDuration = SignedDuration::from_mins(10);
/// Of so many troubled pods the log is asked for.
const LOGS: usize = 5;

#[async_trait]
impl Step for ProveSystemPods {
    fn id(&self) -> String {
        "prove system pods".to_owned()
    }

    fn describe(&self) -> String {
        "all system pods are Ready".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let pods: Vec<Pod> = list(cx, &["pods", "--namespace", NAMESPACE]).await?;
        let now = Timestamp::now();
        let mut troubles = Vec::new();
        for pod in &pods {
            let Some(trouble) = trouble(pod, now) else {
                continue;
            };
            let mut line = format!("{} on {}: {trouble}", pod.metadata.name, node(pod));
            if troubles.len() < LOGS
                && let Some(words) = last_line(cx, pod).await?
            {
                line = format!("{line}\n  its last line: {words}");
            }
            troubles.push(line);
        }
        all_well(&troubles).map_err(|error| {
            error.with_hint(format!(
                "kubectl -n {NAMESPACE} describe pod NAME; kubectl -n {NAMESPACE} logs NAME --previous"
            ))
        })?;
        if pods.is_empty() {
            return Err(StepError::passing(format!(
                "there is no pod in {NAMESPACE}"
            )));
        }
        let restarts: u32 = pods
            .iter()
            .flat_map(|pod| &pod.status.container_statuses)
            .map(|status| status.restart_count)
            .sum();
        let of_restarts = match restarts {
            0 => String::new(),
            some => format!(
                ", {} since they were made",
                count(u64::from(some), "restart")
            ),
        };
        cx.progress.seen(
            format!("{}{of_restarts}", count(pods.len() as u64, "pod")),
            None,
        );
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn node(pod: &Pod) -> &str {
    match pod.spec.node_name.as_str() {
        "" => "no node",
        name => name,
    }
}

fn trouble(pod: &Pod, now: Timestamp) -> Option<String> {
    // A pod that was evicted, or ended as its host was shut down, stays Failed for good; what took its place is judged by
    // itself.
    if ["Succeeded", "Failed"].contains(&pod.status.phase.as_str()) {
        return None;
    }
    if !pod.is_ready() {
        return Some(pod.why_not_ready());
    }
    let storm = |status: &&ContainerStatus| {
        let ended = status.last_state.terminated.as_ref();
        let lately = ended.and_then(|ended| ended.finished_at);
        status.restart_count >= STORM && lately.is_some_and(|at| now.duration_since(at) < LATELY)
    };
    let status = pod.status.container_statuses.iter().find(storm)?;
    Some(format!(
        "container {} has restarted {} times, the last time within {} minutes",
        status.name,
        status.restart_count,
        LATELY.as_mins()
    ))
}

/// The last words of the container that is in trouble: of its run before, where it was restarted.
async fn last_line(cx: &Cx, pod: &Pod) -> Result<Option<String>, StepError> {
    let statuses = pod
        .status
        .init_container_statuses
        .iter()
        .chain(&pod.status.container_statuses);
    let troubled = |status: &&ContainerStatus| status.restart_count > 0 || !status.ready;
    let Some(status) = statuses.into_iter().find(troubled) else {
        return Ok(None);
    };
    let mut logs = vec![
        "--request-timeout=10s",
        "logs",
        "--namespace",
        &pod.metadata.namespace,
        &pod.metadata.name,
        "--container",
        &status.name,
        "--tail=1",
    ];
    if status.restart_count > 0 {
        logs.push("--previous");
    }
    let output = ask_kubectl(cx, &logs).await?;
    let line = output.text();
    Ok(Some(line).filter(|line| output.ok() && !line.trim().is_empty()))
}
