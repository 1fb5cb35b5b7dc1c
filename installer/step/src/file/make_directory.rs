use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs};

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::shell::{ask, must};

/// Makes a directory with its mode and owner. What is in it stays. For data there is [`crate::DataDirectory`].
pub struct MakeDirectory {
    pub path: Utf8PathBuf,
    pub attrs: FileAttrs,
}

impl MakeDirectory {
    pub(crate) async fn make(&self, cx: &Cx) -> Result<(), StepError> {
        let path = host::quote(self.path.as_str());
        let FileAttrs { mode, owner } = &self.attrs;
        let owner = host::quote(&format!("{}:{}", owner.user, owner.group));
        // Parents must let others through, whatever the login's umask.
        let script =
            format!("umask 022; mkdir -p {path} && chown {owner} {path} && chmod {mode:o} {path}");
        must(cx, &format!("make {}", self.path), Command::script(script)).await?;
        Ok(())
    }

    fn wanted(&self) -> String {
        let FileAttrs { mode, owner } = &self.attrs;
        format!("{mode:o} {} {}", owner.user, owner.group)
    }
}

#[async_trait]
impl Step for MakeDirectory {
    fn id(&self) -> String {
        format!("mkdir {}", self.path)
    }

    fn describe(&self) -> String {
        format!("make directory {}", self.path)
    }

    fn inputs(&self) -> String {
        self.wanted()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let path = host::quote(self.path.as_str());
        let script = format!("[ -d {path} ] && stat -L -c '%a %U %G' {path}");
        let output = ask(cx, Command::script(script)).await?;
        let (found, wanted) = (output.text(), self.wanted());
        Ok(if !output.ok() {
            State::needed("is not there")
        } else if found == wanted {
            State::Satisfied
        } else {
            State::needed(format!("mode and owner are {found}, not {wanted}"))
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::Directory(self.path.clone())]).await?;
        self.make(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove directory {}", self.path);
        let what = vec![Resource::Directory(self.path.clone())];
        Some(TakeBack::step(title, what))
    }
}
