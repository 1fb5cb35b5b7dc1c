use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

use crate::local_file;

/// Notes on the operator's machine, beside the cluster's authority, that there is a cluster, as soon as its first
/// member runs and before another is let in. As long as there is no note, nobody but the founder can hold data.
pub struct NoteEtcdFounded {
    pub note: Utf8PathBuf,
}

const TEXT: &str = "The etcd cluster of this authority has been founded. kubexm founds no other where this one may be.\n";

#[async_trait]
impl Step for NoteEtcdFounded {
    fn id(&self) -> String {
        "note founded".to_owned()
    }

    fn describe(&self) -> String {
        "note that the etcd cluster is founded".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match local_file::read(&self.note)? {
            Some(_) => State::Satisfied,
            None => State::needed("is not noted"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(local_file::write(&self.note, 0o600, TEXT.as_bytes())?)
    }

    /// The note lies beside the authority, and goes with it.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
