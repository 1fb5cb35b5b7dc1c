use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, SlotId, State, Step, StepError};

use crate::{PodNetworkTraces, RemovePodNetwork, UploadFile};

/// Gives the container runtime its network: the configuration, and what the plugins make from it while pods run.
pub struct CniNetwork {
    pub config: UploadFile,
    pub traces: PodNetworkTraces,
}

#[async_trait]
impl Step for CniNetwork {
    fn id(&self) -> String {
        self.config.id()
    }

    fn describe(&self) -> String {
        self.config.describe()
    }

    fn inputs(&self) -> String {
        self.config.inputs()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.config.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.config.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.config.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let traces = self.traces;
        Some(Arc::new(RemovePodNetwork { traces }))
    }
}
