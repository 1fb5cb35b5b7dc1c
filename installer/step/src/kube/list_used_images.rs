use std::collections::BTreeSet;

use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

use super::kubectl::ask_kubectl;
use crate::shell::refused;

/// Asks a cluster for every image that something in it names: what runs, and what may run again.
pub struct ListUsedImages {
    /// As pods name them, and as they were pulled: by tag and by digest.
    pub used: Slot<BTreeSet<String>>,
}

/// Jobs of a schedule and deployments of no pods pull when their time comes.
const KINDS: &str = "pods,podtemplates,replicationcontrollers,replicasets,deployments,statefulsets,daemonsets,jobs,cronjobs";
/// Every field of these names, wherever it is.
const FIELDS: &str = "jsonpath={..image} {..imageID} {..reference}";

#[async_trait]
impl Question for ListUsedImages {
    fn id(&self) -> String {
        "list used images".to_owned()
    }

    fn describe(&self) -> String {
        "list the images that the cluster names".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.used.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let get = ["get", KINDS, "--all-namespaces", "--output", FIELDS];
        let output = ask_kubectl(cx, &get).await?;
        if !output.ok() {
            return Err(refused("list the images that the cluster names", &output));
        }
        let text = output.text();
        let names = text.split_whitespace().map(str::to_owned);
        self.used.fill(names.collect());
        Ok(State::Satisfied)
    }
}
