use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Question, State, StepError};
use host::Command;

use crate::local_file;
use crate::pki::share;
use crate::shell::ask;

/// Refuses to go on where a member's data belongs to a cluster of another authority than the one at hand: with its
/// certificates the member would be shut out of its own cluster.
pub struct KeepEtcdAuthority {
    /// The authority's certificate on the operator's machine.
    pub local: Utf8PathBuf,
    /// And where the member has it.
    pub path: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
}

#[async_trait]
impl Question for KeepEtcdAuthority {
    fn id(&self) -> String {
        "keep authority".to_owned()
    }

    fn describe(&self) -> String {
        "compare the certificate authority of etcd".to_owned()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let data = host::quote(self.data_dir.join("member").as_str());
        let member = Command::script(format!("[ -e {data} ]"));
        if !ask(cx, member).await?.ok() {
            return Ok(State::Satisfied);
        }
        let (theirs, ours) = (
            cx.host.read(&self.path).await?,
            local_file::read(&self.local)?,
        );
        let is_same = |theirs: &[u8]| ours.as_ref().is_some_and(|ours| share(ours, theirs));
        if theirs.is_none_or(|theirs| is_same(&theirs)) {
            return Ok(State::Satisfied);
        }
        let certs = self.local.parent().unwrap_or(&self.local);
        Err(StepError::new(format!(
            "{} is not the certificate authority that this member's cluster was made with",
            self.local
        ))
        .with_hint(format!(
            "put {certs} in place as it is on the machine that installed the cluster, or in its backup; then run again"
        )))
    }
}
