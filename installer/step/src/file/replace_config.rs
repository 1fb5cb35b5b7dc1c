use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, SlotId, State, Step, StepError};
use host::{Command, FileAttrs, Source};

use crate::before::{self, Resource};
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
    /// Where the new one is judged.
    fn new_file(&self) -> Utf8PathBuf {
        format!("{}.kubexm-new", self.path).into()
    }

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

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let state = self.file().check(cx).await?;
        if state != State::Satisfied {
            return Ok(state);
        }
        // It may hold a password, and goes where the right one does.
        let new = host::quote(self.new_file().as_str());
        let left = Command::script(format!("[ ! -e {new} ] || echo another was cut short"));
        Ok(match ask(cx, left).await?.text() {
            none if none.is_empty() => State::Satisfied,
            left => State::needed(left),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.path.clone())]).await?;
        let new = self.new_file();
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

#[cfg(test)]
mod tests {
    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn one_that_was_cut_short_does_not_stay_beside_the_right_one() {
        let step = ReplaceConfig {
            path: "/etc/keepalived/keepalived.conf".into(),
            content: Content::Text("right\n".to_owned()),
            attrs: FileAttrs::root(0o600),
            judge: &["keepalived", "--config-test"],
        };
        let stat = format!("600 root root\n{}  -\n", step.content.inputs());
        let right = || FakeHost::new("node1").on("stat -c", 0, stat.clone());
        let left = right().on("keepalived.conf.kubexm-new ]", 0, "another was cut short\n");
        let needed = State::needed("another was cut short");
        for (host, state) in [(left, needed), (right(), State::Satisfied)] {
            let cx = Cx::new(Arc::new(host), Progress::unseen());
            assert_eq!(step.check(&cx).await.unwrap(), state);
        }
    }
}
