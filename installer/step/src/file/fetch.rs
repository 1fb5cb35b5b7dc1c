use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use secrecy::zeroize::Zeroizing;

use crate::local_file::{self, blocking};

/// Fetches files of a host onto the operator's machine, where they are not there. What is there stays as it is; what the
/// host has not either is somebody else's to tell.
pub struct FetchFiles {
    /// On the host, and on the operator's machine.
    pub files: Vec<(Utf8PathBuf, Utf8PathBuf)>,
}

impl FetchFiles {
    async fn fetch(&self, cx: &Cx) -> Result<Vec<(Utf8PathBuf, Zeroizing<Vec<u8>>)>, StepError> {
        let mut fetched = Vec::new();
        for (path, local) in &self.files {
            if local_file::read(local)?.is_none()
                && let Some(bytes) = cx.host.read(path).await?
            {
                fetched.push((local.clone(), Zeroizing::new(bytes)));
            }
        }
        Ok(fetched)
    }
}

#[async_trait]
impl Step for FetchFiles {
    fn id(&self) -> String {
        let paths: Vec<&str> = self.files.iter().map(|(path, _)| path.as_str()).collect();
        format!("fetch {}", paths.join(", "))
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let fetched = self.fetch(cx).await?;
        Ok(match fetched.first() {
            None => State::Satisfied,
            Some((local, _)) => State::needed(format!("{local} is not here")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let (fetched, host) = (self.fetch(cx).await?, cx.host.name().to_owned());
        blocking(move || {
            for (local, bytes) in fetched {
                local_file::write_new(&local, &host, &bytes)?;
            }
            Ok::<_, StepError>(())
        })
        .await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
