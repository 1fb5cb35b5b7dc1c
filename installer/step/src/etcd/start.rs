use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::Command;

use crate::shell::{ask, must};
use crate::{EtcdTrace, RunService};

/// Sets a stopped member going without waiting for it: members of a cluster that is down as a whole come up together
/// or not at all. One that has no data yet is left alone, and one whose files are not there.
pub struct StartEtcd {
    pub member: Stopped,
    pub service: RunService,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
}

/// Which members are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// As they were left.
    Left,
    /// Set up anew on data that has stayed.
    SetUp,
}

#[async_trait]
impl Step for StartEtcd {
    fn id(&self) -> String {
        match self.member {
            Stopped::Left => "start etcd".to_owned(),
            Stopped::SetUp => "start etcd on its data".to_owned(),
        }
    }

    fn describe(&self) -> String {
        match self.member {
            Stopped::Left => "start etcd if it is stopped".to_owned(),
            Stopped::SetUp => "start etcd on data that has stayed".to_owned(),
        }
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let trace = EtcdTrace::of(cx, &self.data_dir, &self.bootstrap).await?;
        if !(trace.data && trace.entered) {
            return Ok(State::Satisfied);
        }
        let unit = host::quote(self.service.unit);
        // A start that was asked for a moment ago is still a job, and the unit inactive.
        let reads = self.service.reads.iter();
        let files: Vec<String> = reads.map(|path| host::quote(path.as_str())).collect();
        let script = format!(
            "for file in {}; do [ -e \"$file\" ] || exit 0; done; \
             case \"$(systemctl show --property Job --value {unit})\" in ''|0) ;; *) exit 0;; esac; \
             case \"$(systemctl is-active {unit})\" in inactive|failed) echo is stopped;; esac",
            files.join(" ")
        );
        let output = ask(cx, Command::script(script)).await?;
        Ok(match output.text() {
            reason if reason.is_empty() => State::Satisfied,
            reason => State::needed(reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.service.note_former(cx).await?;
        let start = Command::script(self.service.script("start --no-block"));
        must(cx, "start etcd", start).await.map(drop)
    }

    /// It is stopped where `RunEtcd` is taken back, before its files go.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
