//! What a snapshot of etcd is, told from what only looks like one, before anything is stopped for it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use engine::StepError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};

use crate::etcd::bindings::Bindings;
use crate::local_file;

/// What lies beside a snapshot that kubexm has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupNote {
    pub cluster: String,
    pub kubernetes: String,
    pub etcd: String,
    /// The timer's script does not tell it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cluster_id: String,
    pub members: Vec<String>,
    /// The member's host.
    pub from: String,
    pub taken: jiff::Timestamp,
    pub revision: u64,
    pub keys: u64,
    pub bytes: u64,
    pub sha256: Sha256,
    /// Of what it goes with; nothing in notes of before.
    #[serde(default)]
    pub bound_to: Bindings,
}

impl BackupNote {
    /// Where the note of a snapshot lies.
    #[must_use]
    pub fn path(snapshot: &Utf8Path) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{snapshot}.json"))
    }

    /// The note beside a snapshot, where there is one.
    pub fn read(snapshot: &Utf8Path) -> Result<Option<Self>, StepError> {
        let path = Self::path(snapshot);
        let Some(bytes) = local_file::read(&path)? else {
            return Ok(None);
        };
        let note = serde_json::from_slice(&bytes);
        note.map(Some)
            .map_err(|error| StepError::new(format!("cannot understand {path}: {error}")))
    }
}

/// Whether a bare copy of a member's store will do, which carries no digest of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopiedStore {
    Refuse,
    Accept,
}

/// A file that is a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    pub path: Utf8PathBuf,
    pub bytes: u64,
    pub sha256: Sha256,
    /// Its end says what its beginning must be.
    pub sealed: bool,
}

/// etcd puts the digest of all that is before behind the store's pages.
const SEAL: u64 = 32;
/// The smallest page of a store.
const PAGE: u64 = 512;
/// The number that a store's first page begins with, behind the page's own head.
const STORE: (usize, [u8; 4]) = (16, [0xed, 0xda, 0x0c, 0xed]);
/// What else people keep backups in.
const PACKED: &[(&[u8], &str)] = &[
    (&[0x1f, 0x8b], "gzip: gunzip it"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd: unzstd it"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz: unxz it"),
    (b"PK\x03\x04", "zip: unzip it"),
];

impl SnapshotFile {
    /// Reads all of the file.
    pub fn judge(path: &Utf8Path, copied: CopiedStore) -> Result<Self, StepError> {
        if path.extension() == Some("part") {
            return refused(path, "it is what a backup left that was cut short", OTHER);
        }
        Self::read(path, copied)
    }

    /// The same, whatever the file is called.
    pub(crate) fn read(path: &Utf8Path, copied: CopiedStore) -> Result<Self, StepError> {
        let refused = |what: &str, hint: &str| refused(path, what, hint);
        let unreadable = |error: io::Error| StepError::new(format!("cannot read {path}: {error}"));
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes == 0 {
            return refused("it is empty", OTHER);
        }
        let mut head = Vec::new();
        (&mut file)
            .take(64)
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        if let Some((_, what)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
            let (name, how) = what.split_once(": ").unwrap_or((what, ""));
            return refused(
                &format!("it is packed with {name}"),
                &format!("{how} first, and name what comes out"),
            );
        }
        let (at, magic) = STORE;
        if head.get(at..at + magic.len()) != Some(&magic) {
            return refused("it does not begin as a store of etcd does", OTHER);
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let (whole, inside, end) = digests(&mut file, bytes).map_err(unreadable)?;
        let note = BackupNote::read(path)?;
        if let Some(note) = note
            && note.sha256 != whole
        {
            return refused(
                &format!(
                    "it is not the file that {} tells of: its SHA-256 is {whole}, and should be {}",
                    BackupNote::path(path),
                    note.sha256
                ),
                OTHER,
            );
        }
        let sealed = bytes % PAGE == SEAL;
        if sealed && inside != end {
            return refused("its end does not fit the rest: it is damaged", OTHER);
        }
        if !sealed && bytes % PAGE != 0 {
            return refused("it ends in the middle of a page: it was cut", OTHER);
        }
        if !sealed && copied == CopiedStore::Refuse {
            return refused(
                "it has no digest at its end: it is a copy of a member's store, or a snapshot whose end was cut off",
                "a copy may lack what is only in the log; if you know that it is one and have nothing better, say \
                 --copied-store",
            );
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
            sha256: whole,
            sealed,
        })
    }
}

const OTHER: &str = "name another backup; nothing was touched";

fn refused<T>(path: &Utf8Path, what: &str, hint: &str) -> Result<T, StepError> {
    Err(StepError::new(format!("{path} is no snapshot: {what}")).with_hint(hint))
}

/// Of the whole file, of all but its end, and what the end says.
fn digests(file: &mut File, bytes: u64) -> io::Result<(Sha256, [u8; 32], [u8; 32])> {
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 1 << 20];
    let mut left = bytes.saturating_sub(SEAL);
    while left > 0 {
        let at_most = usize::try_from(left)
            .unwrap_or(piece.len())
            .min(piece.len());
        let length = file.read(&mut piece[..at_most])?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&piece[..length]);
        left -= length as u64;
    }
    let inside: [u8; 32] = hasher.clone().finalize().into();
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    hasher.update(&end);
    let whole = Sha256::new(hasher.finalize().into());
    let end = end.try_into().unwrap_or([0; 32]);
    Ok((whole, inside, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Vec<u8> {
        let mut bytes = vec![7; 4096];
        bytes[16..20].copy_from_slice(&STORE.1);
        bytes
    }

    fn snapshot() -> Vec<u8> {
        let mut bytes = store();
        let digest = Hasher::digest(&bytes);
        bytes.extend(digest);
        bytes
    }

    fn judged(name: &str, bytes: &[u8], copied: CopiedStore) -> String {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        match SnapshotFile::judge(&path, copied) {
            Ok(file) if file.sealed => "a snapshot".to_owned(),
            Ok(_) => "a copy".to_owned(),
            Err(error) => error.to_string().replace(dir.as_str(), "DIR"),
        }
    }

    #[test]
    fn what_is_no_snapshot_is_refused_with_what_it_is() {
        let refuse = |name, bytes: &[u8]| judged(name, bytes, CopiedStore::Refuse);
        assert_eq!(refuse("a.db", &snapshot()), "a snapshot");
        insta::assert_snapshot!(refuse("a.db.part", &snapshot()), @"DIR/a.db.part is no snapshot: it is what a backup left that was cut short");
        insta::assert_snapshot!(refuse("a.db", b""), @"DIR/a.db is no snapshot: it is empty");
        insta::assert_snapshot!(refuse("a.db", b"\x1f\x8b\x08 and more"), @"DIR/a.db is no snapshot: it is packed with gzip");
        insta::assert_snapshot!(refuse("a.db", b"hello, this is a text and nothing else"), @"DIR/a.db is no snapshot: it does not begin as a store of etcd does");
        let cut = &snapshot()[..4000];
        insta::assert_snapshot!(refuse("a.db", cut), @"DIR/a.db is no snapshot: it ends in the middle of a page: it was cut");
        let mut damaged = snapshot();
        damaged[2000] ^= 1;
        insta::assert_snapshot!(refuse("a.db", &damaged), @"DIR/a.db is no snapshot: its end does not fit the rest: it is damaged");
        let copy = store();
        insta::assert_snapshot!(refuse("db", &copy), @"DIR/db is no snapshot: it has no digest at its end: it is a copy of a member's store, or a snapshot whose end was cut off");
        assert_eq!(judged("db", &copy, CopiedStore::Accept), "a copy");
        assert!(judged("a.db", cut, CopiedStore::Accept).contains("was cut"));
    }

    #[test]
    fn the_note_beside_it_must_tell_of_this_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("a.db");
        std::fs::write(&path, snapshot()).unwrap();
        let note = |sha256| BackupNote {
            cluster: "c".into(),
            kubernetes: "v1.36.2".into(),
            etcd: "3.6.8".into(),
            cluster_id: "1".into(),
            members: vec!["m1".into()],
            from: "m1".into(),
            taken: jiff::Timestamp::UNIX_EPOCH,
            revision: 1,
            keys: 1,
            bytes: 1,
            sha256,
            bound_to: Bindings::default(),
        };
        let judge = || SnapshotFile::judge(&path, CopiedStore::Refuse);
        let write = |note: &BackupNote| {
            std::fs::write(BackupNote::path(&path), serde_json::to_vec(note).unwrap()).unwrap();
        };
        write(&note(Sha256::of(&snapshot())));
        judge().unwrap();
        write(&note(Sha256::of(b"another")));
        assert!(
            judge()
                .unwrap_err()
                .to_string()
                .contains("is not the file that")
        );
    }
}
