use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Question, Slot, SlotId, State, StepError};
use host::Command;

use crate::before;
use crate::etcd::etcdctl::EtcdCluster;
use crate::shell::must;

/// What a host shows of a member on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EtcdTrace {
    /// It holds a member's data.
    pub data: bool,
    /// It was told how to come into its cluster, or has been in it.
    pub entered: bool,
}

impl EtcdTrace {
    pub(crate) async fn of(
        cx: &Cx,
        data_dir: &Utf8Path,
        bootstrap: &Utf8Path,
    ) -> Result<Self, StepError> {
        let data = host::quote(data_dir.join("member").as_str());
        let bootstrap = host::quote(bootstrap.as_str());
        let note = host::quote(before::data_note(data_dir).as_str());
        // Data that came after kubexm noted what was there is a member's of the cluster, whose files may have gone since.
        let script = Command::script(format!(
            "[ ! -e {data} ] || echo data; if [ -s {bootstrap} ]; then echo entered; \
             elif [ -e {data} ] && [ -e {note} ] && ! grep -qx member {note}; then echo entered; fi"
        ));
        let text = must(cx, "look for a member of etcd", script).await?.text();
        let has = |word: &str| text.lines().any(|line| line == word);
        Ok(Self {
            data: has("data"),
            entered: has("entered"),
        })
    }

    pub(crate) fn is_bare(self) -> bool {
        !self.data && !self.entered
    }
}

/// Looks whether a host is, or was, a member, before any host is touched; a member that runs must list nobody whom the
/// config does not know.
pub struct LookAtEtcd {
    pub cluster: EtcdCluster,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
    pub trace: Slot<EtcdTrace>,
}

#[async_trait]
impl Question for LookAtEtcd {
    fn id(&self) -> String {
        "look at etcd".to_owned()
    }

    fn describe(&self) -> String {
        "look for a member of etcd".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.trace.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let trace = EtcdTrace::of(cx, &self.data_dir, &self.bootstrap).await?;
        if trace.data {
            // Whom it lists is audited. That it may not answer is for later steps to judge.
            self.cluster.ask(cx, &[self.cluster.here()]).await?;
        }
        self.trace.fill(trace);
        Ok(State::Satisfied)
    }
}
