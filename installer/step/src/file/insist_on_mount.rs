use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Question, State, StepError};
use host::Command;

use crate::shell::ask;

/// What is put into a directory that is only the place for a disk fills the system's own, and is out of sight when the disk comes.
pub struct InsistOnMount {
    pub path: Utf8PathBuf,
    /// What lies there.
    pub of: &'static str,
    /// The key of the config that names it.
    pub key: &'static str,
}

#[async_trait]
impl Question for InsistOnMount {
    fn id(&self) -> String {
        format!("mount of {}", self.path)
    }

    fn describe(&self) -> String {
        format!("{} is mounted", self.path)
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let mounted = Command::new(["mountpoint", "-q", self.path.as_str()]);
        if ask(cx, mounted).await?.ok() {
            return Ok(State::Satisfied);
        }
        let Self { path, of, key } = self;
        Err(StepError::new(format!(
            "nothing is mounted at {path}, and {of} is to lie there"
        ))
        .with_hint(format!(
            "mount it (mount {path}; a line in /etc/fstab brings it at boot), or correct {key}"
        )))
    }
}
