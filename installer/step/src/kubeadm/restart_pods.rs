use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, Slot, State, Step, StepError};
use host::Command;

use crate::kubeadm::etcd::spare;
use crate::kubeadm::static_pods::{apiserver_is_ready, container, runs_anew, settled};
use crate::shell::must;

/// Has the kubelet start a master's static pods anew, one after the other: the member of etcd only while the others keep the
/// majority.
pub struct RestartStaticPods {
    pub pods: Vec<&'static str>,
    /// The apiserver's own.
    pub port: u16,
    /// Full once it was done in this run.
    pub done: Slot<()>,
}

/// The one that must be spared by others.
const ETCD: &str = "etcd";

impl RestartStaticPods {
    async fn restart(&self, cx: &Cx, pod: &str) -> Result<(), StepError> {
        if pod == ETCD {
            spare(cx).await?;
        }
        let stop = format!(
            "export PATH=\"/usr/local/bin:$PATH\"; id=$({}); echo \"$id\"; [ -z \"$id\" ] || crictl stop --timeout 30 \"$id\" > /dev/null",
            container(pod)
        );
        let before = must(cx, &format!("stop {pod}"), Command::script(stop)).await?;
        let complaints = runs_anew(pod, before.text().trim()) + &apiserver_is_ready(self.port);
        settled(cx, pod, &complaints).await
    }
}

#[async_trait]
impl Step for RestartStaticPods {
    fn id(&self) -> String {
        format!("restart {}", self.pods.join(", "))
    }

    fn describe(&self) -> String {
        format!("start anew: {}", self.pods.join(", "))
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match self.done.get() {
            Some(()) => State::Satisfied,
            None => State::needed("is to be started anew"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        for pod in &self.pods {
            self.restart(cx, pod).await?;
        }
        self.done.fill(());
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
