use std::time::Duration;

use engine::{Cx, StepError};

use crate::kube::kubectl::kubectl;
use crate::kube::objects::Pod;
use crate::shell::must;

/// A workload of many nodes, one node after the other.
const PATIENCE: Duration = Duration::from_mins(10);

/// What makes pods, as kubectl names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Workload {
    pub namespace: String,
    pub name: String,
}

impl Workload {
    pub fn of(pod: &Pod) -> Option<Self> {
        let owner = pod.metadata.owner_references.first()?;
        let name = match owner.kind.as_str() {
            "DaemonSet" => format!("daemonset/{}", owner.name),
            "StatefulSet" => format!("statefulset/{}", owner.name),
            // A Deployment's ReplicaSet is called like it, with the hash of the pods behind.
            "ReplicaSet" => {
                let hash = pod.metadata.labels.get("pod-template-hash")?;
                let deployment = owner.name.strip_suffix(hash)?.strip_suffix('-')?;
                format!("deployment/{deployment}")
            }
            _ => return None,
        };
        Some(Self {
            namespace: pod.metadata.namespace.clone(),
            name,
        })
    }

    /// Waits until it runs as it was changed last.
    pub async fn rolled(&self, cx: &Cx) -> Result<(), StepError> {
        let Self { namespace, name } = self;
        let trying = format!("wait for {name}");
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let status = [
            "rollout",
            "status",
            "--namespace",
            namespace,
            name,
            &timeout,
        ];
        let wait = kubectl(&status).timeout(PATIENCE + Duration::from_secs(30));
        let rolled = must(cx, &trying, wait).await;
        rolled
            .map(drop)
            .map_err(|error| error.with_hint(format!("kubectl -n {namespace} describe {name}")))
    }
}
