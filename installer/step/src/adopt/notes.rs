use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::local_file;

/// Notes on the operator's machine that a cluster of this authority is there: no other is begun.
pub struct NoteBegun {
    /// The authority's certificate.
    pub authority: Utf8PathBuf,
    pub note: Utf8PathBuf,
}

const TEXT: &str = "A cluster of these authorities was found when this directory was made from its hosts. kubexm begins no \
                    other where this one may be.\n";

#[async_trait]
impl Step for NoteBegun {
    fn id(&self) -> String {
        format!("note {}", self.note)
    }

    fn describe(&self) -> String {
        "note that the cluster is there".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let (there, noted) = (
            local_file::read(&self.authority)?,
            local_file::read(&self.note)?,
        );
        Ok(match (there, noted) {
            (Some(_), None) => State::needed("is not noted"),
            _ => State::Satisfied,
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(local_file::write(&self.note, 0o600, TEXT.as_bytes())?)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Tells what no host has, and what that means.
pub struct TellLost {
    /// The file on the operator's machine that is missing then, and the sentence.
    pub losses: Vec<(Utf8PathBuf, String)>,
}

#[async_trait]
impl Step for TellLost {
    fn id(&self) -> String {
        "tell what is lost".to_owned()
    }

    fn describe(&self) -> String {
        "look for what no host has".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for (path, means) in &self.losses {
            if local_file::read(path)?.is_none() {
                let warning = format!("{path} is on no host that could be asked: {means}");
                cx.progress.seen(format!("{path} is lost"), Some(warning));
            }
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
