//! Reading a file from the medium itself. What was just written is in memory, and a read would give that back, whatever has
//! become of it on the medium.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use rustix::fs::{Advice, OFlags};
use serde::{Deserialize, Serialize};

use super::medium::{FileSystem, Medium};
use crate::{Cancel, open_regular};

/// What direct reads ask of the buffer; no device's blocks are larger.
const ALIGNED: usize = 4096;
const CHUNK: usize = 1 << 20;

/// How sure it is that what was read was on the medium. The first is the surest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Past {
    /// The kernel was told to use no cache.
    Direct,
    /// The kernel was asked to forget what it had in its cache.
    Forgotten,
    /// There is nothing behind the cache.
    Nowhere,
}

/// Has all of a file written to the medium, and gives the kernel's copy of it away.
pub(super) fn let_go(path: &Utf8Path) -> io::Result<File> {
    let file = open_regular(path)?;
    // A medium that cannot be written to has nothing to be written.
    if let Err(error) = file.sync_all()
        && !matches!(
            error.kind(),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::InvalidInput
        )
    {
        return Err(error);
    }
    // Advice: where it is not taken, the direct read below does without.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    Ok(file)
}

/// Reads a file that was let go.
pub(super) fn read(
    path: &Utf8Path,
    mut file: File,
    cancel: &Cancel,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Past> {
    let dir = path.parent().unwrap_or(Utf8Path::new("."));
    let kind = Medium::look(dir).map(|medium| medium.file_system);
    if matches!(kind, Ok(FileSystem::Memory)) {
        pour(&mut file, cancel, &mut sink)?;
        return Ok(Past::Nowhere);
    }
    let flags = OFlags::DIRECT | OFlags::NONBLOCK | OFlags::NOCTTY;
    let direct = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let Ok(mut direct) = direct else {
        pour(&mut file, cancel, &mut sink)?;
        return Ok(Past::Forgotten);
    };
    match pour(&mut direct, cancel, &mut sink) {
        // The kernel's cache is passed by; that of a program or of another machine is not.
        Ok(()) if matches!(kind, Ok(FileSystem::User | FileSystem::Network)) => Ok(Past::Forgotten),
        Ok(()) => Ok(Past::Direct),
        // Some file systems refuse only the read.
        Err(Ended { at, error }) if error.kind() == io::ErrorKind::InvalidInput => {
            file.seek(SeekFrom::Start(at))?;
            pour(&mut file, cancel, &mut sink)?;
            Ok(Past::Forgotten)
        }
        Err(Ended { error, .. }) => Err(error),
    }
}

/// Reads a file as whoever has written it sees it.
pub(super) fn read_cached(
    mut file: File,
    cancel: &Cancel,
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    Ok(pour(&mut file, cancel, &mut sink)?)
}

/// Where reading came to its end.
struct Ended {
    at: u64,
    error: io::Error,
}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        ended.error
    }
}

fn pour(
    file: &mut File,
    cancel: &Cancel,
    sink: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Ended> {
    let mut buffer = vec![0; CHUNK + ALIGNED];
    let from = buffer.as_ptr().align_offset(ALIGNED);
    let buffer = &mut buffer[from..from + CHUNK];
    let mut at = 0;
    loop {
        let failed = |error| Ended { at, error };
        if cancel.is_cancelled() {
            return Err(failed(io::ErrorKind::Interrupted.into()));
        }
        let len = match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        sink(&buffer[..len]).map_err(failed)?;
        at += len as u64;
    }
}
