use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

/// One of several was done, which is enough for those who wait.
pub struct AnyOf {
    /// "the images are in a registry"
    pub what: &'static str,
    pub of: Vec<Slot<()>>,
    pub any: Slot<()>,
}

#[async_trait]
impl Question for AnyOf {
    fn id(&self) -> String {
        self.what.to_owned()
    }

    fn describe(&self) -> String {
        self.what.to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.any.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        if self.of.iter().all(|slot| slot.get().is_none()) {
            return Ok(State::needed("nobody has done it"));
        }
        self.any.fill(());
        Ok(State::Satisfied)
    }
}
