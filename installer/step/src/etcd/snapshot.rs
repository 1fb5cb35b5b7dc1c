use std::sync::Arc;
use std::time::Duration;

use artifact::Sha256;
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::{Command, quote};
use serde::Deserialize;

use crate::EtcdCluster;
use crate::kubeadm::static_pods::container;
use crate::local_file::{self, blocking};
use crate::shell::must;

/// Where a member is asked for a snapshot, and by which program it is checked.
#[derive(Clone, Debug)]
pub enum Snapshot {
    /// A member that is a service of the host.
    Member(EtcdCluster),
    /// A member that is a static pod of the host. Its data directory is the same inside and outside of the pod.
    StaticPod { data_dir: Utf8PathBuf },
}

/// Takes a snapshot of the store as it is now, checks it there, and keeps it on the operator's machine, beside its digest and
/// what the check has told. It is taken once in each run: what an earlier run has kept stays under its own name.
pub struct TakeSnapshot {
    pub of: Snapshot,
    /// The directory on the operator's machine.
    pub keep_in: Utf8PathBuf,
    /// What comes next, for the name of the file: `before-v1.36.2`.
    pub occasion: String,
    pub taken: Slot<()>,
}

/// What a check tells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    revision: u64,
    total_key: u64,
    total_size: u64,
}

/// Where it lies for a moment on the member's host.
const THERE: &str = "/var/lib/kubexm/snapshot";
const FILE: &str = "kubexm-snapshot.db";
/// As much as one answer of a host may hold, with room to spare.
const PIECE: u64 = 8 << 20;
const PATIENCE: Duration = Duration::from_mins(30);

impl TakeSnapshot {
    /// The directory of the snapshot on the host, and a script that takes and checks it there.
    fn script(&self) -> (Utf8PathBuf, String) {
        match &self.of {
            Snapshot::Member(cluster) => {
                let pki = &cluster.pki;
                let tls = format!(
                    "--cacert={pki}/ca.crt --cert={pki}/healthcheck-client.crt --key={pki}/healthcheck-client.key"
                );
                let script = format!(
                    "cd {THERE}
/usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 {tls} snapshot save {FILE} > /dev/null 2>&1 || \
                     /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 {tls} snapshot save {FILE} >&2
if [ -x /usr/local/bin/etcdutl ]; then check=/usr/local/bin/etcdutl; else check=/usr/local/bin/etcdctl; fi
ETCDCTL_API=3 $check snapshot status {FILE} --write-out=json"
                );
                (THERE.into(), script)
            }
            Snapshot::StaticPod { data_dir } => {
                let pki = "/etc/kubernetes/pki/etcd";
                let tls = format!(
                    "--cacert={pki}/ca.crt --cert={pki}/healthcheck-client.crt --key={pki}/healthcheck-client.key"
                );
                let file = quote(data_dir.join(FILE).as_str());
                let script = format!(
                    "export PATH=\"/usr/local/bin:$PATH\"
id=$({})
[ -n \"$id\" ] || {{ echo 'etcd has no container that runs here' >&2; exit 1; }}
crictl exec \"$id\" etcdctl --endpoints=https://127.0.0.1:2379 {tls} snapshot save {file} >&2
crictl exec \"$id\" etcdutl snapshot status {file} --write-out=json || \
                     crictl exec \"$id\" etcdctl snapshot status {file} --write-out=json",
                    container("etcd")
                );
                (data_dir.clone(), script)
            }
        }
    }

    async fn fetch(&self, cx: &Cx, from: &Utf8Path) -> Result<Vec<u8>, StepError> {
        let path = quote(from.as_str());
        let size = must(
            cx,
            "measure the snapshot",
            Command::script(format!("stat -c %s {path}")),
        );
        let size: u64 = size.await?.text().parse().unwrap_or_default();
        let mut bytes = Vec::new();
        for piece in 0..size.div_ceil(PIECE) {
            let read = format!("dd if={path} bs={PIECE} skip={piece} count=1 2>/dev/null");
            let output = must(cx, "fetch the snapshot", Command::script(read)).await?;
            bytes.extend(output.stdout);
        }
        let digest = format!("sha256sum < {path} | cut -d' ' -f1");
        let digest = must(cx, "hash the snapshot", Command::script(digest)).await?;
        if digest.text() == Sha256::of(&bytes).to_string() {
            return Ok(bytes);
        }
        Err(StepError::passing("the snapshot did not arrive whole"))
    }

    async fn take(&self, cx: &Cx, directory: &Utf8Path, script: &str) -> Result<(), StepError> {
        let take = Command::script(format!("set -eu; umask 077; mkdir -p {THERE}\n{script}"));
        let said = must(cx, "take a snapshot of etcd", take.timeout(PATIENCE)).await?;
        let status = said.text();
        let status = status
            .lines()
            .rfind(|line| line.starts_with('{'))
            .unwrap_or_default();
        let seen: Status = serde_json::from_str(status).map_err(|error| {
            StepError::new(format!("the snapshot of etcd is not whole: {error}"))
        })?;
        if seen.total_key == 0 {
            return Err(StepError::new("the snapshot of etcd holds no key")
                .with_hint("on the member: etcdctl endpoint status --cluster -w table"));
        }
        let bytes = self.fetch(cx, &directory.join(FILE)).await?;
        let digest = Sha256::of(&bytes);
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let name = format!("{}-{now}.db", self.occasion);
        let path = self.keep_in.join(&name);
        let (sum, told) = (format!("{digest}  {name}\n"), format!("{status}\n"));
        let (kept, size) = (path.clone(), seen.total_size);
        blocking(move || {
            local_file::write(&kept, 0o600, &bytes)?;
            local_file::write(&kept.with_extension("db.sha256"), 0o600, sum.as_bytes())?;
            Ok::<_, StepError>(local_file::write(
                &kept.with_extension("db.json"),
                0o600,
                told.as_bytes(),
            )?)
        })
        .await?;
        let keys = seen.total_key;
        let seen = format!(
            "{path}: revision {}, {keys} keys, {size} bytes",
            seen.revision
        );
        cx.progress.seen(seen, None);
        Ok(())
    }
}

#[async_trait]
impl Step for TakeSnapshot {
    fn id(&self) -> String {
        "etcd snapshot".to_owned()
    }

    fn describe(&self) -> String {
        "keep a snapshot of etcd on this machine".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.taken.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(if self.taken.get().is_some() {
            State::Satisfied
        } else {
            State::needed("is taken before anything changes")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let (directory, script) = self.script();
        let taken = self.take(cx, &directory, &script).await;
        let remove = format!(
            "rm -f {}*; rmdir {THERE} 2>/dev/null || true",
            quote(directory.join(FILE).as_str())
        );
        let removed = must(
            cx,
            "remove the snapshot from the host",
            Command::script(remove),
        )
        .await;
        taken.and(removed.map(drop))?;
        self.taken.fill(());
        Ok(())
    }

    /// What is kept is the operator's.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::reads;

    fn step(of: Snapshot) -> TakeSnapshot {
        TakeSnapshot {
            of,
            keep_in: "/srv/state/etcd".into(),
            occasion: "before-v1.36.2".to_owned(),
            taken: Slot::new("the snapshot"),
        }
    }

    #[test]
    fn a_shell_reads_the_scripts() {
        let cluster = EtcdCluster {
            peers: Vec::new(),
            pki: "/etc/etcd/pki".to_owned(),
        };
        reads(&step(Snapshot::Member(cluster)).script().1);
        let data_dir = "/var/lib/etcd".into();
        reads(&step(Snapshot::StaticPod { data_dir }).script().1);
    }
}
