use std::sync::Arc;

use async_trait::async_trait;

use crate::{Asks, Cx, Data, Retry, SlotId, State, Step, StepError};

/// A step that only asks: it proves something, or finds something out for others. It changes nothing, and so has nothing to
/// apply and nothing to take back.
#[async_trait]
pub trait Question: Send + Sync {
    /// As a step's.
    fn id(&self) -> String;

    /// The sentence for plan and progress: "etcd is healthy".
    fn describe(&self) -> String;

    /// Everything that the answer depends on beside the id.
    fn inputs(&self) -> String {
        String::new()
    }

    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    fn fills(&self) -> Vec<SlotId> {
        Vec::new()
    }

    fn takes(&self) -> Vec<SlotId> {
        Vec::new()
    }

    fn asks(&self) -> Asks {
        Asks::Anybody
    }

    /// Asks. What does not hold is an error; what is only not answered yet is [`State::Needed`].
    async fn check(&self, cx: &Cx) -> Result<State, StepError>;
}

#[async_trait]
impl<Q: Question> Step for Q {
    fn id(&self) -> String {
        Question::id(self)
    }

    fn describe(&self) -> String {
        Question::describe(self)
    }

    fn inputs(&self) -> String {
        Question::inputs(self)
    }

    fn retry(&self) -> Retry {
        Question::retry(self)
    }

    fn fills(&self) -> Vec<SlotId> {
        Question::fills(self)
    }

    fn takes(&self) -> Vec<SlotId> {
        Question::takes(self)
    }

    fn asks(&self) -> Asks {
        Question::asks(self)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        Question::check(self, cx).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
