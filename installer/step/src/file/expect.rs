use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::TakeBack;
use crate::before::{self, Resource};

/// Notes files that a service of the host will write by itself, so that they go with what kubexm has made of it.
pub struct ExpectFiles {
    /// The service.
    pub of: &'static str,
    pub paths: Vec<Utf8PathBuf>,
}

impl ExpectFiles {
    fn resources(&self) -> Vec<Resource> {
        self.paths.iter().cloned().map(Resource::File).collect()
    }
}

#[async_trait]
impl Step for ExpectFiles {
    fn id(&self) -> String {
        format!("expect files of {}", self.of)
    }

    fn describe(&self) -> String {
        format!("note what {} will write", self.of)
    }

    /// They are noted in their order: with the last, all are.
    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let resources = self.resources();
        let last = resources
            .last()
            .map(std::slice::from_ref)
            .unwrap_or_default();
        Ok(match before::pending(cx, last).await? {
            State::Satisfied if !last.is_empty() => State::needed("is not noted"),
            State::Satisfied | State::Needed(_) => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &self.resources()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove what {} wrote", self.of);
        Some(TakeBack::step(title, self.resources()))
    }
}
