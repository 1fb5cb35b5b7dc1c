use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::preflight::MARKER;

/// Refuses to take anything from a host that belongs to another cluster. One that bears no mark has nothing to be
/// taken, or was left half-way.
pub struct RecogniseHost {
    pub cluster: String,
}

#[async_trait]
impl Step for RecogniseHost {
    fn id(&self) -> String {
        "recognise".to_owned()
    }

    fn describe(&self) -> String {
        "look whose the host is".to_owned()
    }

    fn inputs(&self) -> String {
        self.cluster.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let Some(marker) = cx.host.read(MARKER.into()).await? else {
            return Ok(State::Satisfied);
        };
        let found = String::from_utf8_lossy(&marker).trim().to_owned();
        if found == self.cluster {
            return Ok(State::Satisfied);
        }
        Err(StepError::new(format!(
            "it belongs to the cluster '{found}' ({MARKER}), not to '{}'",
            self.cluster
        ))
        .with_hint(
            "correct the host's address in the config, or give the config of its own cluster",
        ))
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
