use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::Command;
use serde::{Deserialize, Serialize};

use crate::etcd::restore::SnapshotSeal;
use crate::etcd::snapshot_file::BackupNote;
use crate::shell::refused;

/// What a snapshot has shown when an etcd was started with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drilled {
    pub etcd: String,
    pub revision: u64,
    /// That the API has not deleted.
    pub keys: u64,
    pub namespaces: u64,
    pub secrets: u64,
    pub nodes: u64,
    pub bytes: u64,
}

/// Starts the bundle's own etcd with a snapshot, on loopback of the operator's machine, and counts what it serves.
pub struct DrillSnapshot {
    pub snapshot: Utf8PathBuf,
    pub seal: SnapshotSeal,
    /// Holds `etcd`, `etcdctl` and `etcdutl`.
    pub programs: [Utf8PathBuf; 3],
    /// For what is there as long as the drill.
    pub scratch: Utf8PathBuf,
    pub note: Option<BackupNote>,
    pub drilled: Slot<Drilled>,
}

const SCRIPT: &str = include_str!("drill.sh");
/// A store of 8 GiB on a slow disk.
const PATIENCE: Duration = Duration::from_mins(30);

#[derive(Deserialize)]
struct Counts {
    revision: u64,
    served: u64,
    keys: u64,
    namespaces: u64,
    secrets: u64,
    nodes: u64,
    bytes: u64,
    etcd: String,
}

impl DrillSnapshot {
    async fn drill(&self, cx: &Cx) -> Result<Drilled, StepError> {
        let [server, client, tool] = self
            .programs
            .each_ref()
            .map(|path| host::quote(path.as_str()));
        let seal = match self.seal {
            SnapshotSeal::There => "",
            SnapshotSeal::Missing => "--skip-hash-check",
        };
        let script = format!(
            "etcd={server} etcdctl={client} etcdutl={tool} snapshot={} scratch={} seal={seal}\n{SCRIPT}",
            host::quote(self.snapshot.as_str()),
            host::quote(self.scratch.as_str())
        );
        let output = cx
            .host
            .run(&Command::script(script).timeout(PATIENCE))
            .await?;
        if !output.ok() {
            return Err(refused("start an etcd with the snapshot", &output)
                .with_hint("this file brings nothing back: name another backup"));
        }
        let counts: Counts = serde_json::from_slice(&output.stdout).map_err(|error| {
            StepError::new(format!("cannot read what the drill counted: {error}"))
        })?;
        if counts.served < counts.revision {
            return Err(StepError::new(format!(
                "the store serves revision {}, and the snapshot is of {}",
                counts.served, counts.revision
            )));
        }
        if let Some(note) = &self.note
            && note.revision != counts.revision
        {
            return Err(StepError::new(format!(
                "the snapshot is of revision {}, and its note says {}",
                counts.revision, note.revision
            )));
        }
        Ok(Drilled {
            etcd: counts.etcd,
            revision: counts.revision,
            keys: counts.keys,
            namespaces: counts.namespaces,
            secrets: counts.secrets,
            nodes: counts.nodes,
            bytes: counts.bytes,
        })
    }
}

#[async_trait]
impl Step for DrillSnapshot {
    fn id(&self) -> String {
        "drill".to_owned()
    }

    fn describe(&self) -> String {
        format!("start an etcd with {} on this machine", self.snapshot)
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.drilled.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match self.drilled.get() {
            Some(_) => State::Satisfied,
            None => State::needed("was not tried yet"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.drilled.fill(self.drill(cx).await?);
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_shell_reads_the_script() {
        crate::shell::reads(super::SCRIPT);
    }
}
