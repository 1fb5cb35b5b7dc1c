use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use host::Command;

use super::{brought, is_restored, prepared};
use crate::etcd::etcdctl::{EtcdCluster, EtcdPeer, EtcdRuns};
use crate::shell::{ask, must};

/// Makes a member's new data ready beside its old one, while everything still runs: what cannot be restored is known
/// before anything stops. The name says that it is whole.
pub struct PrepareData {
    pub id: String,
    pub me: EtcdPeer,
    pub cluster: EtcdCluster,
    pub data_dir: Utf8PathBuf,
    pub bytes: u64,
    pub seal: SnapshotSeal,
    pub revisions: Revisions,
}

/// Whether the snapshot has a digest at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSeal {
    There,
    Missing,
}

/// Whether this etcd can raise revisions beyond all that clients have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    Bumped,
    /// Before 3.5.10: who has cached newer ones must be started anew.
    AsTheyAre,
}

/// A store of 8 GiB on a slow disk.
pub(super) const PATIENCE: Duration = Duration::from_mins(30);
/// More than a busy cluster writes in a week.
const BUMP: u64 = 1_000_000_000;
/// The log that a new member begins with, and some.
const SPARE: u64 = 256 << 20;

impl PrepareData {
    fn script(&self) -> String {
        let brought = brought(&self.id);
        let new = prepared(&self.data_dir, &self.id);
        let dir = host::quote(self.data_dir.as_str());
        let peers: Vec<String> = self.cluster.peers.iter().map(EtcdPeer::initial).collect();
        let mut restore = vec![
            brought.join("etcdutl").into_string(),
            "snapshot".to_owned(),
            "restore".to_owned(),
            brought.join("snapshot.db").into_string(),
            format!("--name={}", self.me.name),
            format!("--data-dir={new}.part"),
            format!("--initial-cluster={}", peers.join(",")),
            format!("--initial-cluster-token=restore-{}", self.id),
            format!("--initial-advertise-peer-urls={}", self.me.peer_url()),
        ];
        if self.revisions == Revisions::Bumped {
            restore.push(format!("--bump-revision={BUMP}"));
            restore.push("--mark-compacted".to_owned());
        }
        if self.seal == SnapshotSeal::Missing {
            restore.push("--skip-hash-check".to_owned());
        }
        let restore: Vec<String> = restore.iter().map(|word| host::quote(word)).collect();
        let owner = match self.cluster.runs {
            EtcdRuns::Service { .. } => "etcd:etcd",
            EtcdRuns::StaticPod => "root:root",
        };
        let new = host::quote(new.as_str());
        format!(
            "set -eu; umask 077
[ -d {dir} ] || {{ mkdir -p {dir}; chown {owner} {dir}; chmod 700 {dir}; }}
rm -rf {dir}/kubexm-restore-*
free=$(df -Pk {dir} | awk 'NR == 2 {{ print $4 }}')
[ \"$free\" -ge {needed} ] || {{ echo \"no room for the new data in \"{dir}\": $((free / 1024)) MiB are free, {needed_mib} are needed\" >&2; exit 1; }}
complain() {{ grep -m 1 -E '^(Error:|panic:|fatal error:|unexpected fault)' {log} >&2 || tail -n 3 {log} >&2; exit 1; }}
{etcdutl} snapshot status {snapshot} --write-out=json > {log} 2>&1 || complain
{restore} > {log} 2>&1 || complain
chown -R {owner} {new}.part
sync -f {new}.part 2>/dev/null || sync
mv -T {new}.part {new}",
            needed = (self.bytes + SPARE) >> 10,
            needed_mib = (self.bytes + SPARE) >> 20,
            etcdutl = host::quote(brought.join("etcdutl").as_str()),
            snapshot = host::quote(brought.join("snapshot.db").as_str()),
            log = host::quote(brought.join("log").as_str()),
            restore = restore.join(" "),
        )
    }
}

#[async_trait]
impl Step for PrepareData {
    fn id(&self) -> String {
        "prepare data".to_owned()
    }

    fn describe(&self) -> String {
        format!("make the new data of {} ready beside the old", self.me.name)
    }

    fn inputs(&self) -> String {
        self.script()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let new = host::quote(prepared(&self.data_dir, &self.id).as_str());
        let script = format!(
            "{} || [ -d {new} ] || echo is not ready",
            is_restored(&self.id)
        );
        let lacking = ask(cx, Command::script(script)).await?.text();
        Ok(if lacking.is_empty() {
            State::Satisfied
        } else {
            State::Needed(lacking)
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let command = Command::script(self.script()).timeout(PATIENCE);
        let prepared = must(cx, "restore the snapshot", command).await;
        prepared
            .map(drop)
            .map_err(|error| error.with_hint("nothing was stopped: the cluster is as it was"))
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_a_member() {
        let peer = |n: u8| EtcdPeer {
            name: format!("e{n}"),
            address: format!("10.0.0.{n}"),
        };
        let step = PrepareData {
            id: "0123".into(),
            me: peer(1),
            cluster: EtcdCluster {
                peers: vec![peer(1), peer(2)],
                runs: EtcdRuns::StaticPod,
            },
            data_dir: "/var/lib/etcd".into(),
            bytes: 1 << 30,
            seal: SnapshotSeal::Missing,
            revisions: Revisions::Bumped,
        };
        crate::shell::reads(&step.script());
        insta::assert_snapshot!(step.script());
    }
}
