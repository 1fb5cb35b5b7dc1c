use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};

/// Removes files and directories of the operator's machine that can be made again, or are of no use any more.
pub struct RemoveLocal {
    /// "remove the certificates of etcd"
    pub title: String,
    pub paths: Vec<Utf8PathBuf>,
}

impl RemoveLocal {
    pub(crate) fn step(
        title: impl Into<String>,
        paths: impl IntoIterator<Item = Utf8PathBuf>,
    ) -> Arc<dyn Step> {
        Arc::new(Self {
            title: title.into(),
            paths: paths.into_iter().collect(),
        })
    }
}

#[async_trait]
impl Step for RemoveLocal {
    /// By the paths, so that steps with one title are not taken for one step.
    fn id(&self) -> String {
        let paths: Vec<&str> = self.paths.iter().map(|path| path.as_str()).collect();
        format!("remove {}", paths.join(", "))
    }

    fn describe(&self) -> String {
        self.title.clone()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let there = self
            .paths
            .iter()
            .find(|path| fs::symlink_metadata(path).is_ok());
        Ok(match there {
            None => State::Satisfied,
            Some(path) => State::needed(format!("{path} is there")),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        for path in &self.paths {
            let removed = match fs::symlink_metadata(path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StepError::new(format!("cannot remove {path}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
