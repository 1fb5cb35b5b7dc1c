use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};
use ipnet::IpNet;

use crate::{PodNetworkTraces, RemovePodNetwork};

/// Leaves the pods' network to a plugin. Stands before the container runtime, so that its counterpart comes when no pod
/// is left that would bring the plugin's traces back.
pub struct PodNetwork {
    pub traces: PodNetworkTraces,
    pub pods: Vec<IpNet>,
}

#[async_trait]
impl Step for PodNetwork {
    fn id(&self) -> String {
        format!("pod network {}", self.traces.name)
    }

    fn describe(&self) -> String {
        format!("leave the pods' network to {}", self.traces.name)
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemovePodNetwork {
            traces: self.traces,
            pods: self.pods.clone(),
        }))
    }
}
