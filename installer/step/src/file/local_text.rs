use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::{RemoveLocal, local_file};

/// A text on the operator's machine, for people to take from there. It can be made again at any time.
pub struct LocalText {
    pub path: Utf8PathBuf,
    pub text: String,
}

#[async_trait]
impl Step for LocalText {
    fn id(&self) -> String {
        format!("write {}", self.path)
    }

    fn describe(&self) -> String {
        format!("write {}", self.path)
    }

    fn inputs(&self) -> String {
        self.text.clone()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match local_file::read(&self.path)? {
            Some(found) if found == self.text.as_bytes() => State::Satisfied,
            Some(_) => State::needed("differs"),
            None => State::needed("is not there"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(local_file::write(&self.path, 0o644, self.text.as_bytes())?)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove {}", self.path);
        Some(RemoveLocal::step(title, [self.path.clone()]))
    }
}
