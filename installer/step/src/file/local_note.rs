use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::local_file;

/// A note of a work that takes several runs where one is cut short, on the operator's machine: there while the work lasts.
pub struct LocalNote {
    pub path: Utf8PathBuf,
    /// "the renewal"
    pub of: &'static str,
    pub keeps: Noted,
}

/// What becomes of the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The work begins, or goes on.
    As(String),
    /// It has come to its end.
    No,
}

#[async_trait]
impl Step for LocalNote {
    fn id(&self) -> String {
        match self.keeps {
            Noted::As(_) => format!("note {}", self.of),
            Noted::No => format!("end {}", self.of),
        }
    }

    fn describe(&self) -> String {
        match self.keeps {
            Noted::As(_) => format!("note that {} has begun", self.of),
            Noted::No => format!("note that {} has ended", self.of),
        }
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let found = local_file::read(&self.path)?;
        Ok(match (&self.keeps, found) {
            (Noted::No, None) => State::Satisfied,
            (Noted::No, Some(_)) => State::needed("is noted as begun"),
            (Noted::As(text), Some(found)) if text.as_bytes() == found => State::Satisfied,
            (Noted::As(_), _) => State::needed("is not noted"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        match &self.keeps {
            Noted::As(text) => Ok(local_file::write(&self.path, 0o600, text.as_bytes())?),
            Noted::No => match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(StepError::new(format!(
                    "cannot remove {}: {error}",
                    self.path
                ))),
                _ => Ok(()),
            },
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
