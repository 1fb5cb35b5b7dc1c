use std::time::Duration;

use engine::{Cx, State, StepError};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::inventory::Item;
use super::kubectl;
use crate::check::list;
use crate::kube::objects::{Condition, Pod};
use crate::kube::pods::{Seen, told};

const PATIENCE: Duration = Duration::from_mins(10);
const EVERY: Duration = Duration::from_secs(3);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Job {
    status: JobStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JobStatus {
    conditions: Vec<Condition>,
}

/// Runs what an addon does once: each object in its turn, and a Job until it is through. One of before makes way.
pub(super) async fn run(cx: &Cx, name: &str, objects: &[Value]) -> Result<(), StepError> {
    for object in objects {
        let item = Item::of(object);
        let once = ["Job", "Pod"].contains(&item.kind.as_str());
        if once {
            kubectl::delete(cx, &[&item]).await?;
        }
        let trying = format!("apply {} of the addon {name}", item.title());
        kubectl::bring(cx, &trying, [object]).await?;
        if item.kind == "Job" {
            await_job(cx, name, &item).await?;
        }
    }
    Ok(())
}

async fn await_job(cx: &Cx, name: &str, item: &Item) -> Result<(), StepError> {
    let field = format!("--field-selector=metadata.name={}", item.name);
    let what = ["jobs", "--namespace", &item.namespace, &field];
    let look = || async {
        let jobs: Vec<Job> = list(cx, &what).await?;
        let conditions = jobs.iter().flat_map(|job| &job.status.conditions);
        let mut ended = conditions.filter(|it| it.status == "True");
        let ended = ended.find(|it| ["Complete", "Failed"].contains(&it.kind.as_str()));
        match ended {
            Some(condition) if condition.kind == "Complete" => Ok(State::Satisfied),
            Some(condition) => {
                let seen = pods(cx, item).await?;
                Err(StepError::new(format!(
                    "{} of the addon {name} has failed: {}\n{}",
                    item.title(),
                    condition.message,
                    seen.full()
                )))
            }
            None => {
                let brief = pods(cx, item).await?.brief();
                let title = item.title();
                Ok(State::Needed(match brief.as_str() {
                    "" => format!("{title} runs"),
                    brief => brief.to_owned(),
                }))
            }
        }
    };
    match cx.wait_until(PATIENCE, EVERY, look).await? {
        State::Satisfied => Ok(()),
        State::Needed(_) => Err(StepError::new(format!(
            "{} of the addon {name} is not through after {} s:\n{}",
            item.title(),
            PATIENCE.as_secs(),
            pods(cx, item).await?.full()
        ))),
    }
}

/// What its pods say for themselves.
async fn pods(cx: &Cx, item: &Item) -> Result<Seen, StepError> {
    let selector = format!("--selector=job-name={}", item.name);
    let what = ["pods", "--namespace", &item.namespace, &selector];
    let pods: Vec<Pod> = list(cx, &what).await?;
    let ill = pods
        .iter()
        .filter(|pod| !pod.is_ready() && pod.status.phase != "Succeeded");
    let ill: Vec<(&Pod, String)> = ill.map(|pod| (pod, pod.why_not_ready())).collect();
    Ok(Seen {
        lacking: Vec::new(),
        troubles: told(cx, &ill, Timestamp::UNIX_EPOCH).await,
    })
}
