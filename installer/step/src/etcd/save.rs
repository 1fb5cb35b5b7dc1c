use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use artifact::Sha256;
use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, Slot, State, Step, StepError};
use host::Command;
use serde::Deserialize;

use crate::etcd::bindings::BindingFiles;
use crate::etcd::etcdctl::{EtcdCluster, EtcdRuns, Within, leave_own_words};
use crate::etcd::snapshot_file::{BackupNote, CopiedStore, SnapshotFile};
use crate::etcd::status::LookAtMember;
use crate::local_file::{self, blocking};
use crate::shell::{ask, must, refused};

/// Takes a snapshot from the member of this host, has it checked there, and fetches it onto the operator's machine. It
/// gets its name when it is whole and known to be right; nothing of it stays on the host.
pub struct SaveSnapshot {
    pub cluster: EtcdCluster,
    pub data_dir: Utf8PathBuf,
    pub to: SnapshotName,
    pub of: BackupOf,
    pub saved: Slot<BackupNote>,
}

/// What a snapshot is called on the operator's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotName {
    /// A file that is there already is the one that was asked for.
    File(Utf8PathBuf),
    /// `STEM-TIME.db`, another one of each run: what an earlier run has saved may be of long ago, or of another cluster.
    Fresh { dir: Utf8PathBuf, stem: String },
}

impl SnapshotName {
    /// As it is called from now on.
    fn now(&self) -> Utf8PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Fresh { dir, stem } => {
                let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
                dir.join(format!("{stem}-{time}.db"))
            }
        }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{path}"),
            Self::Fresh { dir, stem } => write!(f, "{dir}/{stem}-<time>.db"),
        }
    }
}

/// What the cluster is called, what it runs, and by what its objects are bound.
#[derive(Clone, Debug)]
pub struct BackupOf {
    pub cluster: String,
    pub kubernetes: String,
    pub bound_to: BindingFiles,
}

/// A store of 8 GiB on a slow disk.
const PATIENCE: Duration = Duration::from_mins(30);
/// How long a connection may be away in the middle.
const LOST: Duration = Duration::from_mins(2);
const ASK_EVERY: Duration = Duration::from_secs(1);
/// What is fetched at once.
const PIECE: u64 = 8 << 20;
/// What the host's disk keeps free beside the snapshot.
const SPARE: u64 = 256 << 20;
const SERVICE_DIR: &str = "/var/lib/kubexm/etcd";
const NAME: &str = "kubexm-backup.db";

/// As etcdutl tells of a snapshot.
#[derive(Debug, Deserialize)]
struct Checked {
    revision: u64,
    #[serde(rename = "totalKey")]
    keys: u64,
}

impl SaveSnapshot {
    /// Where the member can write and the host can read: of a static pod that is its data directory alone.
    fn remote(&self) -> Utf8PathBuf {
        match self.cluster.runs {
            EtcdRuns::Service { .. } => Utf8Path::new(SERVICE_DIR).join(NAME),
            EtcdRuns::StaticPod => self.data_dir.join(NAME),
        }
    }

    async fn make_room(&self, cx: &Cx, remote: &Utf8Path, bytes: u64) -> Result<(), StepError> {
        let dir = remote.parent().unwrap_or(remote);
        let (dir, file) = (host::quote(dir.as_str()), host::quote(remote.as_str()));
        let script = format!(
            "umask 077; mkdir -p {dir} && rm -f {file} {file}.part && \
             df -Pk {dir} | awk 'NR == 2 {{ print $4 }}'"
        );
        let free = must(cx, "look for room for a snapshot", Command::script(script)).await?;
        let free = free.text().trim().parse::<u64>().unwrap_or(0) << 10;
        if free >= bytes + SPARE {
            return Ok(());
        }
        Err(StepError::new(format!(
            "no room for a snapshot in {}: it takes {} MiB, and {} MiB are free",
            remote.parent().unwrap_or(remote),
            (bytes + SPARE) >> 20,
            free >> 20
        ))
        .with_hint("free space there, or kubexm etcd defrag if the store is mostly empty"))
    }

    /// What the bundle's own etcd says of the snapshot, on the member.
    async fn checked(&self, cx: &Cx, remote: &Utf8Path) -> Result<Checked, StepError> {
        let mut said = None;
        // etcdctl has lost it with 3.6, etcdutl came with 3.5.
        for program in ["etcdutl", "etcdctl"] {
            let argv = [
                program,
                "snapshot",
                "status",
                remote.as_str(),
                "--write-out=json",
            ];
            let command = self.cluster.runs.command(&argv).timeout(PATIENCE);
            let mut output = ask(cx, command).await?;
            leave_own_words(&mut output);
            if output.ok()
                && let Ok(checked) = serde_json::from_slice(&output.stdout)
            {
                return Ok(checked);
            }
            said.get_or_insert(output);
        }
        Err(said.map_or_else(
            || StepError::new("the snapshot was not checked"),
            |output| refused("check the snapshot", &output),
        ))
    }

    async fn save(&self, cx: &Cx, to: &Utf8Path) -> Result<BackupNote, StepError> {
        let here = self.cluster.here();
        let told = LookAtMember::told(cx, &self.cluster, &here, 0).await?;
        let told = told.map_err(|why| {
            StepError::passing(format!("etcd does not answer: {why}"))
                .with_hint(self.cluster.runs.hint())
        })?;
        let members = self.cluster.members(cx).await?;
        let remote = self.remote();
        self.make_room(cx, &remote, told.db_bytes).await?;
        let save = ["snapshot", "save", remote.as_str()];
        let within = Within::Host(PATIENCE);
        let output = self
            .cluster
            .etcdctl_within(cx, within, &[here], &save)
            .await?;
        if !output.ok() {
            return Err(refused("take a snapshot", &output));
        }
        let checked = self.checked(cx, &remote).await?;
        let (from, bytes, sha256) = measured(cx, &remote).await?;
        let note = BackupNote {
            cluster: self.of.cluster.clone(),
            kubernetes: self.of.kubernetes.clone(),
            etcd: told.version,
            cluster_id: told.cluster_id,
            members: members.iter().map(super::etcdctl::Member::title).collect(),
            from,
            taken: jiff::Timestamp::now(),
            revision: checked.revision,
            keys: checked.keys,
            bytes,
            sha256,
            bound_to: self.of.bound_to.bindings(cx).await?,
        };
        fetch(cx, &remote, to, &note).await?;
        Ok(note)
    }
}

/// Until it is whole it is called `.part`, and no reader takes that for a snapshot.
async fn fetch(
    cx: &Cx,
    remote: &Utf8Path,
    to: &Utf8Path,
    note: &BackupNote,
) -> Result<(), StepError> {
    let part = Utf8PathBuf::from(format!("{to}.part"));
    let at = part.clone();
    let mut file = blocking(move || begin(&at)).await?;
    for piece in 0..note.bytes.div_ceil(PIECE) {
        let bytes = came(cx, remote, piece).await?;
        cx.progress.add(bytes.len() as u64);
        let at = part.clone();
        file = blocking(move || {
            file.write_all(&bytes).map_err(|why| unwritable(&at, why))?;
            Ok::<_, StepError>(file)
        })
        .await?;
    }
    let (to, note) = (to.to_owned(), note.clone());
    blocking(move || {
        file.sync_all().map_err(|why| unwritable(&part, why))?;
        drop(file);
        finish(&part, &to, &note)
    })
    .await
}

fn unwritable(path: &Utf8Path, why: io::Error) -> StepError {
    local_file::FileError::Write {
        path: path.to_owned(),
        why,
    }
    .into()
}

fn begin(part: &Utf8Path) -> Result<File, StepError> {
    let open = || {
        if let Some(dir) = part.parent().filter(|dir| !dir.as_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        match std::fs::remove_file(part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(part)
    };
    open().map_err(|why| unwritable(part, why))
}

/// What came is what the host has: only then it is a backup. Its note comes first, since a note alone is nothing.
fn finish(part: &Utf8Path, to: &Utf8Path, note: &BackupNote) -> Result<(), StepError> {
    let arrived = SnapshotFile::read(part, CopiedStore::Refuse)?;
    if arrived.sha256 != note.sha256 {
        return Err(StepError::passing(format!(
            "the snapshot arrived damaged: its SHA-256 is {}, the host computed {}",
            arrived.sha256, note.sha256
        )));
    }
    let mut text = serde_json::to_vec_pretty(note)
        .map_err(|error| StepError::new(format!("cannot tell of the snapshot: {error}")))?;
    text.push(b'\n');
    local_file::write(&BackupNote::path(to), 0o600, &text)?;
    let dir = to.parent().filter(|dir| !dir.as_str().is_empty());
    let dir = dir.unwrap_or(Utf8Path::new("."));
    std::fs::rename(part, to)
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(|why| unwritable(to, why))
}

async fn measured(cx: &Cx, remote: &Utf8Path) -> Result<(String, u64, Sha256), StepError> {
    let file = host::quote(remote.as_str());
    let script = format!("set -e; uname -n; stat -c %s {file}; sha256sum < {file} | cut -d' ' -f1");
    let command = Command::script(script).timeout(PATIENCE);
    let text = must(cx, "measure the snapshot", command).await?.text();
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default().trim();
    let unread = || StepError::new("the host did not tell how large the snapshot is");
    let from = next().to_owned();
    let bytes = next().parse().map_err(|_| unread())?;
    let sha256 = next().parse().map_err(|_| unread())?;
    Ok((from, bytes, sha256))
}

/// One lost connection does not lose all that has come before it.
async fn came(cx: &Cx, remote: &Utf8Path, piece: u64) -> Result<Vec<u8>, StepError> {
    let came = Mutex::new(Vec::new());
    let read = || async {
        match read_piece(cx, remote, piece).await {
            Ok(bytes) => {
                *came.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
                Ok(State::Satisfied)
            }
            Err(error) if error.may_pass() => Ok(State::needed(error.to_string())),
            Err(error) => Err(error),
        }
    };
    match cx.wait_until(LOST, ASK_EVERY, read).await? {
        State::Satisfied => Ok(came.into_inner().unwrap_or_else(PoisonError::into_inner)),
        State::Needed(why) => Err(StepError::passing(why)),
    }
}

async fn read_piece(cx: &Cx, remote: &Utf8Path, piece: u64) -> Result<Vec<u8>, StepError> {
    let file = host::quote(remote.as_str());
    let read = format!("dd if={file} bs={PIECE} skip={piece} count=1 iflag=fullblock status=none");
    Ok(must(cx, "read the snapshot", Command::script(read))
        .await?
        .stdout)
}

#[async_trait]
impl Step for SaveSnapshot {
    fn id(&self) -> String {
        "save a snapshot".to_owned()
    }

    fn describe(&self) -> String {
        format!("take a snapshot of etcd and fetch it to {}", self.to)
    }

    fn inputs(&self) -> String {
        self.to.to_string()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(match &self.to {
            SnapshotName::File(path) if std::fs::metadata(path).is_ok() => State::Satisfied,
            SnapshotName::File(_) => State::needed("there is no such backup yet"),
            SnapshotName::Fresh { .. } if self.saved.get().is_some() => State::Satisfied,
            SnapshotName::Fresh { .. } => State::needed("this run has taken none yet"),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let to = self.to.now();
        let saved = self.save(cx, &to).await;
        let file = host::quote(self.remote().as_str());
        // It holds every secret of the cluster, and takes room where etcd needs it.
        let removed = must(
            cx,
            "remove the snapshot from the host",
            Command::script(format!("rm -f {file} {file}.part")),
        )
        .await;
        if saved.is_err() {
            let _ = std::fs::remove_file(format!("{to}.part"));
        }
        let note = saved?;
        self.saved.fill(note);
        removed.map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
