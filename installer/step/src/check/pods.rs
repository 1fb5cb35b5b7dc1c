use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError, Trace};
use jiff::{SignedDuration, Timestamp};

use super::{count, list};
use crate::kube::objects::{ContainerStatus, Pod, Terminated};
use crate::kube::pods::{Pace, Seen, Waited, told, wait_for};

/// Every pod of the system is Ready, and none of them is restarted over and over.
pub struct ProveSystemPods {
    pub patience: Retry,
}

const NAMESPACE: &str = "kube-system";
/// So many restarts, the last of them this short ago and of one that did not live longer than this, are no accident. Who
/// starts a master's pods anew, as for other certificates, does so when they have come up.
const STORM: u32 = 5;
const LATELY: SignedDuration = SignedDuration::from_mins(10);
const SHORT: SignedDuration = SignedDuration::from_mins(1);

/// What is wrong with the pods, and how they are if nothing is.
async fn look(cx: &Cx, since: Timestamp) -> Result<(Seen, String), StepError> {
    let pods: Vec<Pod> = list(cx, &["pods", "--namespace", NAMESPACE]).await?;
    let now = Timestamp::now();
    let ill = pods
        .iter()
        .filter_map(|pod| Some((pod, trouble(pod, now)?)));
    let ill: Vec<(&Pod, String)> = ill.collect();
    let none = pods
        .is_empty()
        .then(|| format!("there is no pod in {NAMESPACE}"));
    let seen = Seen {
        lacking: none.into_iter().collect(),
        troubles: told(cx, &ill, since).await,
    };
    let statuses = pods.iter().flat_map(|pod| &pod.status.container_statuses);
    let restarts: u32 = statuses.map(|status| status.restart_count).sum();
    let of_restarts = match restarts {
        0 => String::new(),
        some => format!(
            ", {} since they were made",
            count(u64::from(some), "restart")
        ),
    };
    let well = format!("{}{of_restarts}", count(pods.len() as u64, "pod"));
    Ok((seen, well))
}

#[async_trait]
impl Step for ProveSystemPods {
    fn id(&self) -> String {
        "prove system pods".to_owned()
    }

    fn describe(&self) -> String {
        "all system pods are Ready".to_owned()
    }

    fn trace(&self) -> Trace {
        Trace::Passing
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let (seen, well) = look(cx, Timestamp::now()).await?;
        if !seen.is_well() {
            return Ok(State::Needed(seen.brief()));
        }
        cx.progress.seen(well, None);
        Ok(State::Satisfied)
    }

    /// Waits for them.
    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = |since| async move { look(cx, since).await.map(|(seen, _)| seen) };
        let pace = Pace::patient(self.patience.total());
        let (Waited::Late(seen) | Waited::Never(seen)) = wait_for(cx, pace, look).await? else {
            return Ok(());
        };
        Err(StepError::new(seen.full()).with_hint(format!(
            "kubectl -n {NAMESPACE} describe pod NAME; kubectl -n {NAMESPACE} logs NAME --previous"
        )))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn trouble(pod: &Pod, now: Timestamp) -> Option<String> {
    // One that was evicted, or ended as its host was shut down, is so for good.
    if pod.is_over() {
        return None;
    }
    if !pod.is_ready() {
        return Some(pod.why_not_ready());
    }
    let storm = |status: &&ContainerStatus| {
        let ended = status.last_state.terminated.as_ref();
        let is_one = |ended: &Terminated| {
            let Some(end) = ended.finished_at else {
                return false;
            };
            let lived = ended.started_at.map(|start| end.duration_since(start));
            now.duration_since(end) < LATELY && lived.is_none_or(|lived| lived < SHORT)
        };
        status.restart_count >= STORM && ended.is_some_and(is_one)
    };
    let status = pod.status.container_statuses.iter().find(storm)?;
    Some(format!(
        "container {} has restarted {} times, the last time within {} minutes",
        status.name,
        status.restart_count,
        LATELY.as_mins()
    ))
}
