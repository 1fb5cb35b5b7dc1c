use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::state_file;

/// Many times what a record takes.
const LINE_MAX: u64 = 1 << 20;

/// What was done, in order. One JSON object a line, appended and synced before the run goes on; a line torn by a crash
/// is cut off by the next run.
///
/// Steps of many hosts write at the same time: what has come together while the disk was busy is synced at once.
#[derive(Clone)]
pub struct Journal {
    path: Utf8PathBuf,
    lines: Arc<Mutex<Lines>>,
    disk: Arc<Mutex<Disk>>,
}

/// Lines that are not on disk yet.
#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// How many there were in all.
    count: u64,
}

struct Disk {
    file: File,
    /// How many lines are on it.
    count: u64,
    /// What became of the first write that failed: nothing is written after it.
    broken: Option<(ErrorKind, String)>,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    RunStarted {
        at: Timestamp,
        plan: String,
        bundle: String,
    },
    /// `apply` is about to change the host. A `Began` without an end is where a run was killed.
    Began {
        at: Timestamp,
        key: String,
        node: String,
        reason: String,
    },
    Ended {
        at: Timestamp,
        key: String,
        node: String,
        result: String,
    },
    /// A task that need not be done again before something changes went well, with all its steps.
    Proven {
        at: Timestamp,
        key: String,
    },
    /// A host of a roll has proven to be well after this act.
    TurnEnded {
        at: Timestamp,
        node: String,
    },
    RunEnded {
        at: Timestamp,
        result: String,
    },
    /// Torn by a crash, or written by another version: whatever it was, something may have been done.
    #[serde(skip)]
    Unreadable,
}

/// What earlier runs have left to the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What was proven since anything was last touched, by key.
    pub proven: HashSet<String>,
    /// What was begun, and not seen to be well afterwards: an act of a roll, if its turn was cut short, and every act that
    /// has no turn.
    pub begun: HashSet<String>,
}

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} the journal {path}: {source}")]
pub struct JournalError {
    act: &'static str,
    path: Utf8PathBuf,
    source: std::io::Error,
}

impl Journal {
    /// Opens the journal for appending, behind its last whole line.
    pub fn open(path: &Utf8Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError {
            act: "open",
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = state_file::open(&mut options, path).map_err(failed)?;
        let whole = whole_lines(&mut file).map_err(failed)?;
        file.set_len(whole).map_err(failed)?;
        tracing::debug!(%path, whole, "journal opened");
        Ok(Self {
            path: path.to_owned(),
            lines: Arc::default(),
            disk: Arc::new(Mutex::new(Disk {
                file,
                count: 0,
                broken: None,
            })),
        })
    }

    /// Every record of a journal; empty if there is none.
    pub fn read(path: &Utf8Path) -> Result<Vec<Record>, JournalError> {
        let failed = |source| JournalError {
            act: "read",
            path: path.to_owned(),
            source,
        };
        let file = match state_file::open(OpenOptions::new().read(true), path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let (mut records, mut reader) = (Vec::new(), BufReader::new(file));
        while let Some(record) = next(&mut reader).map_err(failed)? {
            records.push(record);
        }
        Ok(records)
    }

    /// What the runs so far have left.
    pub fn history(&self) -> Result<History, JournalError> {
        let mut history = History::default();
        for record in Self::read(&self.path)? {
            match record {
                Record::Began { node, .. } => {
                    history.proven.clear();
                    history.begun.insert(node);
                }
                Record::Unreadable => history.proven.clear(),
                Record::Proven { key, .. } => {
                    history.proven.insert(key);
                }
                Record::TurnEnded { node, .. } => {
                    history.begun.remove(&node);
                }
                Record::RunStarted { .. } | Record::Ended { .. } | Record::RunEnded { .. } => {}
            }
        }
        Ok(history)
    }

    /// Appends a record and syncs it, on a thread that may wait for the disk.
    pub(crate) async fn record(&self, record: Record) -> Result<(), JournalError> {
        let journal = self.clone();
        let written = tokio::task::spawn_blocking(move || journal.write(&record)).await;
        written.unwrap_or_else(|lost| Err(self.failed("write", std::io::Error::other(lost))))
    }

    /// Appends a record and syncs it.
    pub fn write(&self, record: &Record) -> Result<(), JournalError> {
        let line =
            serde_json::to_vec(record).map_err(|error| self.failed("write", error.into()))?;
        tracing::trace!(?record, "journal");
        let mine = {
            let mut lines = locked(&self.lines);
            lines.waiting.extend(line);
            lines.waiting.push(b'\n');
            lines.count += 1;
            lines.count
        };
        let mut disk = locked(&self.disk);
        if disk.count < mine {
            self.sync(&mut disk);
        }
        match &disk.broken {
            Some((kind, words)) if disk.count < mine => {
                Err(self.failed("write", std::io::Error::new(*kind, words.clone())))
            }
            _ => Ok(()),
        }
    }

    /// Puts all lines that wait onto the disk.
    fn sync(&self, disk: &mut Disk) {
        if disk.broken.is_some() {
            return;
        }
        let (waiting, count) = {
            let mut lines = locked(&self.lines);
            (std::mem::take(&mut lines.waiting), lines.count)
        };
        let file = &mut disk.file;
        let written = file.metadata().and_then(|before| {
            let written = file.write_all(&waiting).and_then(|()| file.sync_data());
            if written.is_err() {
                // Half a line would swallow the one behind it; if it stays, the next run cuts it off.
                let _ = file.set_len(before.len());
            }
            written
        });
        match written {
            Ok(()) => disk.count = count,
            Err(error) => disk.broken = Some((error.kind(), error.to_string())),
        }
    }

    fn failed(&self, act: &'static str, source: std::io::Error) -> JournalError {
        JournalError {
            act,
            path: self.path.clone(),
            source,
        }
    }

    /// The key of an act: its name, what it depends on, where, and from which bundle.
    #[must_use]
    pub fn key(node: &str, inputs: &str, bundle: &str) -> String {
        let mut hasher = Sha256::new();
        for part in [node, inputs, bundle] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        hex::encode(&hasher.finalize()[..16])
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next line; none at the end. A line that is too long to be a record is passed over without being held.
fn next(reader: &mut impl BufRead) -> std::io::Result<Option<Record>> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(LINE_MAX)
        .read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(
        serde_json::from_slice(&line).unwrap_or(Record::Unreadable),
    ))
}

fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut whole, mut at) = (0, 0);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(whole);
        }
        let len = piece.len();
        if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
            whole = at + last as u64 + 1;
        }
        at += len as u64;
        reader.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(result: &str) -> Record {
        Record::RunEnded {
            at: Timestamp::UNIX_EPOCH,
            result: result.to_owned(),
        }
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
        Journal::open(&path)
            .unwrap()
            .write(&record("first"))
            .unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"record":"run-en"#).unwrap();

        assert_eq!(
            Journal::read(&path).unwrap(),
            [record("first"), Record::Unreadable]
        );
        Journal::open(&path)
            .unwrap()
            .write(&record("second"))
            .unwrap();
        assert_eq!(
            Journal::read(&path).unwrap(),
            [record("first"), record("second")]
        );
    }

    #[test]
    fn a_line_without_end_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.write(&record("first")).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&vec![b'x'; 3 << 20]).unwrap();
        file.write_all(b"\n").unwrap();
        journal.write(&record("second")).unwrap();
        let found = Journal::read(&path).unwrap();
        assert_eq!(
            found,
            [record("first"), Record::Unreadable, record("second")]
        );

        // Zeros as a file has them that was only made longer.
        let whole = file.metadata().unwrap().len();
        file.set_len(64 << 20).unwrap();
        Journal::open(&path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), whole);
    }

    #[test]
    fn behind_a_line_that_cannot_be_read_nothing_before_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
        let at = Timestamp::UNIX_EPOCH;
        let proven = |key: &str| {
            let key = key.to_owned();
            let journal = Journal::open(&path).unwrap();
            journal.write(&Record::Proven { at, key }).unwrap();
            journal.history().unwrap().proven
        };
        proven("old");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"record\":\"beg{\"record\":\"ended\"}\n\xff\n")
            .unwrap();
        assert_eq!(proven("new"), HashSet::from(["new".to_owned()]));
        assert_eq!(proven("newer").len(), 2);
    }

    #[test]
    fn what_was_proven_is_so_until_something_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
        let journal = Journal::open(&path).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let proven = |key: &str| {
            let key = key.to_owned();
            journal.write(&Record::Proven { at, key }).unwrap();
        };
        proven("old");
        let (key, node, reason) = ("k".to_owned(), "n".to_owned(), "differs".to_owned());
        let began = Record::Began {
            at,
            key,
            node,
            reason,
        };
        journal.write(&began).unwrap();
        proven("new");
        journal.write(&record("Done")).unwrap();
        assert_eq!(
            journal.history().unwrap().proven,
            HashSet::from(["new".to_owned()])
        );
    }

    #[test]
    fn what_many_write_at_once_is_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
        let journal = Journal::open(&path).unwrap();
        let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| (0..20).for_each(|_| journal.write(&record(name)).unwrap()));
            }
        });
        let records = Journal::read(&path).unwrap();
        for name in &names {
            let own = records.iter().filter(|written| **written == record(name));
            assert_eq!(own.count(), 20);
        }
    }

    #[test]
    fn keys_differ_by_every_part() {
        let keys = [
            ("a", "b", "c"),
            ("ab", "", "c"),
            ("a", "b", "d"),
            ("a", "bc", ""),
        ]
        .map(|(node, inputs, bundle)| Journal::key(node, inputs, bundle));
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let error = Journal::open(Utf8Path::new("/proc/nothing/journal"))
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .starts_with("cannot open the journal /proc/nothing/journal: ")
        );
    }
}
