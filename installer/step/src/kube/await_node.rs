use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::ResetNode;
use crate::kube::kubectl;
use crate::service::run::with_last_lines;
use crate::shell::ask;

/// Waits until a kubelet has made its host a node of the cluster: what follows labels the node or gives it a network. The
/// kubelet is asked for its own node, as nobody but itself. Taken back, Kubernetes goes off the host as a whole: what
/// kubelet and kube-proxy leave is in no file of the plan.
pub struct AwaitNode {
    pub name: String,
}

const PATIENCE: Duration = Duration::from_mins(3);
const ASK_EVERY: Duration = Duration::from_secs(1);
const KUBECTL: [&str; 4] = [
    "/usr/local/bin/kubectl",
    kubectl::CACHE,
    "--kubeconfig",
    "/etc/kubernetes/kubelet.conf",
];

#[async_trait]
impl Step for AwaitNode {
    fn id(&self) -> String {
        format!("node {}", self.name)
    }

    fn describe(&self) -> String {
        format!("wait until {} is a node", self.name)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let get = ["get", "node", &self.name, "--output", "name"];
        let get = [&KUBECTL[..], &get, &["--request-timeout", "5s"]].concat();
        let output = ask(cx, Command::new(get)).await?;
        Ok(if output.ok() {
            State::Satisfied
        } else {
            State::needed(output.last_words())
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let look = || self.check(cx);
        let State::Needed(reason) = cx.wait_until(PATIENCE, ASK_EVERY, look).await? else {
            return Ok(());
        };
        let error = format!("{} does not become a node: {reason}", self.name);
        Err(with_last_lines(cx, "kubelet.service", error).await)
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(ResetNode { data: Vec::new() }.for_data(data))
    }
}
