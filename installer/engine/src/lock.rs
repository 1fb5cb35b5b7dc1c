use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};

use crate::state_file;

/// Many times what a holder is called.
const HOLDER_MAX: u64 = 4096;

/// Held while a run changes a cluster; freed when dropped, or by the kernel when the process dies.
pub struct Lock {
    _file: File,
}

/// The cluster is taken, or the lock cannot be had at all.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another kubexm works on this cluster: {holder} (lock {path})")]
    Taken { path: Utf8PathBuf, holder: String },
    #[error("cannot take the lock {path}: {source}")]
    Io {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock or says who has it. `holder` describes the caller, for others to read.
    pub fn take(path: &Utf8Path, holder: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = state_file::open(&mut options, path).map_err(failed)?;
        Self::of(file, path, holder)
    }

    /// The same of a file that is open, and may be locked by whoever hands it on: then nobody can come between.
    pub fn of(mut file: File, path: &Utf8Path, holder: &str) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = Vec::new();
                file.take(HOLDER_MAX)
                    .read_to_end(&mut holder)
                    .map_err(failed)?;
                return Err(LockError::Taken {
                    path: path.to_owned(),
                    holder: String::from_utf8_lossy(&holder).into_owned(),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        tracing::debug!(%path, holder, "lock taken");
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Journal;

    #[test]
    fn neither_a_link_nor_a_pipe_is_taken_for_the_lock_or_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let (precious, link, pipe) = (dir.join("precious"), dir.join("link"), dir.join("pipe"));
        std::fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_std_path(), 0o600.into()).unwrap();
        let lock = |path: &Utf8Path| Lock::take(path, "install").err().unwrap().to_string();
        let journal = |path: &Utf8Path| Journal::open(path).err().unwrap().to_string();
        for refused in [lock, journal] {
            assert!(refused(&link).ends_with("it is a link, and would be followed"));
            assert!(refused(&pipe).ends_with("it is no regular file; remove it"));
        }
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    }

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("lock");
        let first = Lock::take(&path, "install, process 7").unwrap();
        let error = Lock::take(&path, "delete").err().unwrap().to_string();
        assert!(
            error.contains("another kubexm works on this cluster: install, process 7"),
            "{error}"
        );
        drop(first);
        Lock::take(&path, "delete").unwrap();
    }

    #[test]
    fn a_lock_is_handed_on_and_nobody_comes_between() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("lock");
        let file = File::create_new(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let handed = File::options().read(true).write(true).open(&path).unwrap();
        assert!(Lock::of(handed, &path, "another").is_err());
        let ours = Lock::of(file, &path, "create, process 7").unwrap();
        let error = Lock::take(&path, "delete").err().unwrap().to_string();
        assert!(error.contains(": create, process 7 (lock"), "{error}");
        drop(ours);
        Lock::take(&path, "delete").unwrap();
    }
}
