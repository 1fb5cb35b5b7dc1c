use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Source};

use super::{brought, is_restored};
use crate::shell::{ask, must};

/// Puts the snapshot onto a member's host, and the program that restores it. The same file goes to every member.
pub struct BringSnapshot {
    pub id: String,
    pub snapshot: Utf8PathBuf,
    pub sha256: Sha256,
    pub bytes: u64,
    /// On the operator's machine.
    pub etcdutl: Utf8PathBuf,
}

/// Takes both away again.
pub struct RemoveSnapshot {
    pub id: String,
}

#[async_trait]
impl Step for BringSnapshot {
    fn id(&self) -> String {
        "bring the snapshot".to_owned()
    }

    fn describe(&self) -> String {
        "bring the snapshot to the member".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{} {}", self.id, self.sha256)
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let dir = host::quote(brought(&self.id).as_str());
        let script = format!(
            "{} || {{ [ -x {dir}/etcdutl ] && [ \"$(sha256sum < {dir}/snapshot.db | cut -d' ' -f1)\" = {} ]; }} \
             2>/dev/null || echo is not there",
            is_restored(&self.id),
            self.sha256
        );
        let command = Command::script(script).timeout(super::prepare::PATIENCE);
        let lacking = ask(cx, command).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::Needed(lacking)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let dir = brought(&self.id);
        let quoted = host::quote(dir.as_str());
        let make = format!("umask 077; mkdir -p {quoted} && chmod 700 {quoted}");
        must(cx, "make a place for the snapshot", Command::script(make)).await?;
        for (from, name, mode) in [
            (&self.etcdutl, "etcdutl", 0o700),
            (&self.snapshot, "snapshot.db", 0o600),
        ] {
            let source = Source::File(from.clone());
            let (to, attrs) = (dir.join(name), FileAttrs::root(mode));
            cx.host.upload(&source, &to, &attrs, &cx.progress).await?;
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[async_trait]
impl Step for RemoveSnapshot {
    fn id(&self) -> String {
        "remove the snapshot".to_owned()
    }

    fn describe(&self) -> String {
        "remove the snapshot from the member".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let dir = brought(&self.id);
        let there = ask(cx, Command::new(["test", "-e", dir.as_str()])).await?;
        Ok(if there.ok() {
            State::needed("is there")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let remove = Command::new(["rm", "-rf", brought(&self.id).as_str()]);
        must(cx, "remove the snapshot", remove).await.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
