use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, State, Step, StepError};

use crate::RunService;

/// Runs a service that takes over new files without a stop. As [`RunService`], but what is running is reloaded, and
/// connections through it live on.
pub struct ReloadService(pub RunService);

#[async_trait]
impl Step for ReloadService {
    fn id(&self) -> String {
        self.0.id()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn inputs(&self) -> String {
        self.0.inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.0.check(cx).await
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        self.0.at_work(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.0.bring_up(cx, "reload-or-restart").await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.0.counterpart(data)
    }
}
