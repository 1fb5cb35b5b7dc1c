use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must};

/// Gives a program another name.
pub struct LinkProgram {
    pub path: Utf8PathBuf,
    /// The program, as seen from the directory of the link.
    pub target: &'static str,
}

#[async_trait]
impl Step for LinkProgram {
    fn id(&self) -> String {
        format!("link {}", self.path)
    }

    fn describe(&self) -> String {
        format!("call {} {} as well", self.target, self.path)
    }

    fn inputs(&self) -> String {
        self.target.to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let read = Command::new(["readlink", self.path.as_str()]);
        let found = ask(cx, read).await?.text();
        Ok(match found.as_str() {
            found if found == self.target => State::Satisfied,
            "" => State::needed("is not there"),
            other => State::needed(format!("leads to {other}")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let link = Command::new(["ln", "-sfn", self.target, self.path.as_str()]);
        must(cx, &format!("link {}", self.path), link)
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(UnlinkProgram {
            path: self.path.clone(),
        }))
    }
}

/// Takes the other name away; the program stays.
struct UnlinkProgram {
    path: Utf8PathBuf,
}

#[async_trait]
impl Step for UnlinkProgram {
    fn id(&self) -> String {
        format!("unlink {}", self.path)
    }

    fn describe(&self) -> String {
        format!("remove {}", self.path)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let test = Command::new(["test", "-L", self.path.as_str()]);
        Ok(if ask(cx, test).await?.ok() {
            State::needed("is there")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let remove = Command::new(["rm", "-f", self.path.as_str()]);
        must(cx, &format!("remove {}", self.path), remove)
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
