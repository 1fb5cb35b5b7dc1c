use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, SlotId, State, Step, StepError};
use host::{Command, FileAttrs, Source};

use crate::before::{self, Former};
use crate::shell::{ask, must, refused};
use crate::take_back::TakeBack;
use crate::{Content, UploadFile};

/// Puts a configuration in the place of one that belongs to a package of the host. The program itself judges the new one
/// before anything changes; what was there before is kept.
pub struct ReplaceConfig {
    pub path: Utf8PathBuf,
    pub content: Content,
    pub attrs: FileAttrs,
    /// The command that judges a file, without the file.
    pub judge: &'static [&'static str],
}

impl ReplaceConfig {
    fn file(&self) -> UploadFile {
        UploadFile {
            path: self.path.clone(),
            content: self.content.clone(),
            attrs: self.attrs.clone(),
        }
    }
}

#[async_trait]
impl Step for ReplaceConfig {
    fn id(&self) -> String {
        format!("replace {}", self.path)
    }

    fn describe(&self) -> String {
        format!("write {}, judged by {} first", self.path, self.judge[0])
    }

    fn inputs(&self) -> String {
        self.content.inputs()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.content.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.file().check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Former::File(self.path.clone())]).await?;
        let new: Utf8PathBuf = format!("{}.kubexm-new", self.path).into();
        let source = Source::Bytes(self.content.bytes()?);
        cx.host
            .upload(&source, &new, &self.attrs, &cx.progress)
            .await?;
        let judge = self.judge.iter().copied().chain([new.as_str()]);
        let judged = ask(cx, Command::new(judge)).await?;
        if !judged.ok() {
            // It may hold a password, and nobody reads it.
            let remove = Command::new(["rm", "-f", new.as_str()]);
            must(cx, "remove the file that was refused", remove).await?;
            let trying = format!("have {} take the new {}", self.judge[0], self.path);
            let hint = format!(
                "{} is as it was: look for what its {} does not know",
                self.path, self.judge[0]
            );
            return Err(refused(&trying, &judged).with_hint(hint));
        }
        let put = Command::new(["mv", "-f", new.as_str(), self.path.as_str()]);
        let trying = format!("put {} in place", self.path);
        must(cx, &trying, put).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.path))
    }
}
