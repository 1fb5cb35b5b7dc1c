use std::sync::Arc;

use async_trait::async_trait;
use engine::{Asks, Cx, Data, Retry, SlotId, State, Step, StepError, Trace};

use crate::Halted;
use crate::static_pods::in_turn;

/// A step of hosts that follow each other: after one where it went wrong, this one is left as it is. A host that cannot
/// be reached at all has done nothing wrong, and keeps no other waiting.
pub struct InTurn {
    /// What is changed, for messages.
    pub what: &'static str,
    pub node: String,
    /// The same for the steps of all hosts.
    pub halted: Halted,
    pub step: Arc<dyn Step>,
}

#[async_trait]
impl Step for InTurn {
    fn id(&self) -> String {
        self.step.id()
    }

    fn describe(&self) -> String {
        self.step.describe()
    }

    fn inputs(&self) -> String {
        self.step.inputs()
    }

    fn retry(&self) -> Retry {
        self.step.retry()
    }

    fn bytes(&self) -> Option<u64> {
        self.step.bytes()
    }

    fn fills(&self) -> Vec<SlotId> {
        self.step.fills()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.step.takes()
    }

    fn trace(&self) -> Trace {
        self.step.trace()
    }

    fn asks(&self) -> Asks {
        self.step.asks()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let state = self.step.check(cx).await?;
        if state == State::Satisfied {
            self.halted.lift(&self.node);
        }
        Ok(state)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let apply = self.step.apply(cx);
        in_turn(self.what, &self.node, &self.halted, apply).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        self.step.counterpart(data)
    }
}
