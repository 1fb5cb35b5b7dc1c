use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::TakeBack;

/// Stands for a file that a later step writes, where what is set up in between needs the file to be taken away itself:
/// with the same counterpart here, the file goes after all of it.
pub struct HoldFile {
    pub path: Utf8PathBuf,
}

#[async_trait]
impl Step for HoldFile {
    fn id(&self) -> String {
        format!("hold {}", self.path)
    }

    fn describe(&self) -> String {
        format!("let {} go after all that needs it", self.path)
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.path))
    }
}
