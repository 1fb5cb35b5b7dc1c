use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, SlotId, State, Step, StepError};

use crate::Content;
use crate::kubectl::{ask_kubectl_with, must_kubectl_with};

/// Has the cluster hold these objects, through kubectl on a master. Fields that nobody but others set stay theirs.
pub struct ApplyManifest {
    /// What the objects are to a person: `coredns`.
    pub name: String,
    /// YAML documents.
    pub content: Content,
}

const MANAGER: &str = "--field-manager=kubexm";

#[async_trait]
impl Step for ApplyManifest {
    fn id(&self) -> String {
        format!("apply {}", self.name)
    }

    fn describe(&self) -> String {
        format!("apply {} to the cluster", self.name)
    }

    fn inputs(&self) -> String {
        self.content.inputs()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.content.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let diff = [
            "diff",
            "--server-side",
            "--force-conflicts",
            MANAGER,
            "--filename",
            "-",
        ];
        let output = ask_kubectl_with(cx, &diff, self.content.bytes()?).await?;
        match output.status {
            0 => Ok(State::Satisfied),
            1 => Ok(State::needed("differs")),
            _ => Ok(State::needed(output.last_words())),
        }
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            MANAGER,
            "--filename",
            "-",
        ];
        let trying = format!("apply {}", self.name);
        must_kubectl_with(cx, &trying, &apply, self.content.bytes()?)
            .await
            .map(drop)
    }

    /// Objects go with the cluster's store.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
