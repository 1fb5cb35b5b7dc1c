use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use crate::RunService;
use crate::etcd::etcdctl::{Answer, EtcdCluster, EtcdPeer};
use crate::etcd::look::EtcdTrace;
use crate::shell::must;

/// Sets the data of a member aside that was taken out of its cluster: etcd does not run on it again, and the host joins anew.
/// Where nobody of the others answers nothing is known, and nothing is done. Nothing is deleted.
pub struct SetAsideRemoved {
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
    pub service: RunService,
    pub bootstrap: Utf8PathBuf,
    pub data_dir: Utf8PathBuf,
}

/// A host may have many files open.
const PATIENCE: Duration = Duration::from_mins(5);

/// Ends the script where a member has its store open. One that is at work goes on with files that were renamed.
pub(crate) fn nobody_works_on(data_dir: &Utf8Path) -> String {
    let db = host::quote(data_dir.join("member/snap/db").as_str());
    format!(
        "open() {{ for of in /proc/[0-9]*/fd; do stat -L -c %d:%i \"$of\"/* 2>/dev/null || true; done; }}
if [ -e {db} ] && open | grep -x \"$(stat -c %d:%i {db})\" > /dev/null; then
  echo 'a member of etcd is at work on '{dir} >&2; exit 1
fi",
        dir = host::quote(data_dir.as_str()),
    )
}

/// Renames a member's data, within its directory.
pub(crate) fn set_aside(data_dir: &Utf8Path) -> String {
    let dir = host::quote(data_dir.as_str());
    format!(
        "if [ -e {dir}/member ]; then
{}
aside={dir}/kubexm-aside-$(date -u +%Y%m%dT%H%M%SZ)
(umask 077; mkdir \"$aside\")
mv -T {dir}/member \"$aside/member\"
fi",
        nobody_works_on(data_dir)
    )
}

#[async_trait]
impl Step for SetAsideRemoved {
    fn id(&self) -> String {
        "set removed data aside".to_owned()
    }

    fn describe(&self) -> String {
        "set the data aside of a member that was taken out".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let trace = EtcdTrace::of(cx, &self.data_dir, &self.bootstrap).await?;
        if !(trace.data && trace.entered) || self.service.is_active(cx).await? {
            return Ok(State::Satisfied);
        }
        let others = self.cluster.others(&self.me).map(EtcdPeer::client_url);
        let others: Vec<String> = others.collect();
        if others.is_empty() {
            return Ok(State::Satisfied);
        }
        let url = self.me.peer_url();
        Ok(match self.cluster.ask(cx, &others).await? {
            Answer::Members(members)
                if !members.iter().any(|member| member.peer_urls.contains(&url)) =>
            {
                State::needed(format!(
                    "{} holds the data of a member that was taken out of etcd",
                    self.data_dir
                ))
            }
            Answer::Members(_) | Answer::Silence(_) => State::Satisfied,
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let script = format!(
            "set -eu\nsystemctl stop {unit} 2>/dev/null || true\n{aside}\nrm -f {bootstrap}",
            unit = host::quote(self.service.unit),
            aside = set_aside(&self.data_dir),
            bootstrap = host::quote(self.bootstrap.as_str()),
        );
        let command = Command::script(script).timeout(PATIENCE);
        must(cx, "set the data of before aside", command)
            .await
            .map(drop)
    }

    /// It is the owner's to remove.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_aside_when_nobody_has_it_open() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(temp.path()).unwrap();
        let run = || {
            let script = format!("set -eu\n{}", set_aside(dir));
            let output = std::process::Command::new("sh")
                .args(["-c", &script])
                .output();
            output.unwrap()
        };
        assert!(run().status.success());
        std::fs::create_dir_all(dir.join("member/snap")).unwrap();
        std::fs::write(dir.join("member/snap/db"), "old").unwrap();
        let held = std::fs::File::open(dir.join("member/snap/db")).unwrap();
        let refused = run();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            !refused.status.success() && said.contains("is at work on"),
            "{said}"
        );
        drop(held);
        assert!(run().status.success());
        assert!(!dir.join("member").exists());
        let left: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(run().status.success());
    }
}
