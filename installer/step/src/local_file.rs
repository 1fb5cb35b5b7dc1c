//! Files of the operator's machine, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use engine::StepError;

/// A file of this machine that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}: {why}")]
    Read { path: Utf8PathBuf, why: io::Error },
    #[error("cannot write {path}: {why}")]
    Write { path: Utf8PathBuf, why: io::Error },
}

impl FileError {
    pub fn hint(&self) -> Option<String> {
        let (Self::Read { why, .. } | Self::Write { why, .. }) = self;
        match why.kind() {
            ErrorKind::StorageFull => Some("free space on this machine and run again".to_owned()),
            ErrorKind::PermissionDenied => {
                Some("run kubexm as the user who owns the work directory".to_owned())
            }
            _ => None,
        }
    }
}

impl From<FileError> for StepError {
    fn from(error: FileError) -> Self {
        let step = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}

/// What a file holds; none if there is no such file.
pub(crate) fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(FileError::Read {
            path: path.to_owned(),
            why,
        }),
    }
}

/// Writes beside the file, syncs and renames. The mode stands before the first byte; directories that are missing are
/// made for the owner alone.
pub(crate) fn write(path: &Utf8Path, mode: u32, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, mode, |file| file.write_all(bytes))
}

/// The same for what is too large to be held.
pub(crate) fn write_with(
    path: &Utf8Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FileError> {
    put(path, mode, write).map_err(|why| FileError::Write {
        path: path.to_owned(),
        why,
    })
}

fn put(
    path: &Utf8Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // One name for every run: what a killed run left is replaced, and no key lies about.
    let part = dir.join(format!(".{name}.part"));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    let done = write(&mut file)
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done?;
    File::open(dir)?.sync_all()
}

/// Writes a file for its owner alone, unless there is one: that one stays. Of several who write it at once, who each have
/// a name of their own, one wins.
pub(crate) fn write_new(path: &Utf8Path, writer: &str, bytes: &[u8]) -> Result<(), FileError> {
    let file = path.file_name().unwrap_or_default();
    let whole = path.with_file_name(format!(".{file}.{writer}"));
    write(&whole, 0o600, bytes)?;
    let linked = fs::hard_link(&whole, path);
    let _ = fs::remove_file(&whole);
    match linked {
        Err(why) if why.kind() != ErrorKind::AlreadyExists => Err(FileError::Write {
            path: path.to_owned(),
            why,
        }),
        _ => Ok(()),
    }
}

/// Whether anybody but the owner may read or write the file.
pub(crate) fn is_open_to_others(path: &Utf8Path) -> Result<bool, FileError> {
    let meta = fs::metadata(path).map_err(|why| FileError::Read {
        path: path.to_owned(),
        why,
    })?;
    Ok(meta.permissions().mode() & 0o077 != 0)
}

/// Leaves the file to its owner alone.
pub(crate) fn close_to_others(path: &Utf8Path) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|why| FileError::Write {
        path: path.to_owned(),
        why,
    })
}

/// Runs what reads, writes or computes for long on a thread of its own.
pub(crate) async fn blocking<T, E, F>(work: F) -> Result<T, StepError>
where
    T: Send + 'static,
    E: Into<StepError> + Send + 'static,
    F: FnOnce() -> Result<T, E> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(error) => Err(StepError::new(format!(
            "a worker thread ended early: {error}"
        ))),
    }
}
