use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::KnownImage;
use crate::check::{Older, list, older};
use crate::kube::kubectl::kubectl;
use crate::kube::objects::Pod;
use crate::kube::workload::Workload;
use crate::shell::must;

/// Restarts the system's workloads that still run an earlier build of an image of the bundle: a pod keeps the image that it
/// was started from. Each workload changes as it does at any other time, by its own strategy. Pods that no workload makes
/// again, such as those of a host's files, are left to the proof, which names them.
pub struct RollPods {
    pub images: Vec<KnownImage>,
}

impl RollPods {
    /// Each workload, and an image that it runs an earlier build of.
    async fn stale(&self, cx: &Cx) -> Result<BTreeMap<Workload, String>, StepError> {
        let pods: Vec<Pod> = list(cx, &["pods", "--all-namespaces"]).await?;
        let pods = pods.iter().filter(|pod| pod.is_of_the_system());
        let stale = pods.filter_map(|pod| {
            let Older { image, .. } = older(pod, &self.images).into_iter().next()?;
            Some((Workload::of(pod)?, image))
        });
        Ok(stale.collect())
    }
}

#[async_trait]
impl Step for RollPods {
    fn id(&self) -> String {
        "roll pods".to_owned()
    }

    fn describe(&self) -> String {
        "restart what runs earlier builds of images".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let stale = self.stale(cx).await?;
        let lines: Vec<String> = stale
            .into_iter()
            .map(|(workload, image)| format!("{} runs an earlier build of {image}", workload.name))
            .collect();
        Ok(if lines.is_empty() {
            State::Satisfied
        } else {
            State::needed(lines.join("; "))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let stale = self.stale(cx).await?;
        for Workload { namespace, name } in stale.keys() {
            let trying = format!("restart {name}");
            let restart = ["rollout", "restart", "--namespace", namespace, name];
            must(cx, &trying, kubectl(&restart)).await?;
        }
        for workload in stale.keys() {
            workload.rolled(cx).await?;
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
