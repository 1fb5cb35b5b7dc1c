use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Retry, State, Step, StepError, Trace};
use jiff::{SignedDuration, Timestamp};

use super::{count, list};
use crate::kube::objects::{ContainerStatus, Pod};
use crate::kube::pods::{Pace, Seen, Waited, told, wait_for};

/// Every pod of the system is Ready, and none of them is restarted over and over.
pub struct ProveSystemPods {
    pub patience: Retry,
}

const NAMESPACE: &str = "kube-system";
/// So many restarts, the last of them of one that did not live longer than this, are no accident until the next has lived longer.
/// Who starts a master's pods anew, as for other certificates, may do so many times.
const STORM: u32 = 5;
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
    let storm = |status: &ContainerStatus| {
        let lived = status.last_state.terminated.as_ref().is_some_and(|ended| {
            let lived = ended.finished_at.zip(ended.started_at);
            lived.is_some_and(|(end, start)| end.duration_since(start) >= SHORT)
        });
        let runs = now.duration_since(status.state.running.as_ref()?.started_at?);
        (status.restart_count >= STORM && !lived && runs < SHORT).then_some(runs)
    };
    let mut statuses = pod.status.container_statuses.iter();
    let (status, runs) = statuses.find_map(|status| Some((status, storm(status)?)))?;
    Some(format!(
        "container {} has restarted {} times, the last time {} seconds ago",
        status.name,
        status.restart_count,
        runs.as_secs().max(0)
    ))
}
