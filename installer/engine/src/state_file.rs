//! Files that kubexm keeps for itself: opened as what they are, never as what somebody has put in their place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file. A link is not followed, and a pipe not waited for.
pub(crate) fn open(options: &mut OpenOptions, path: &Utf8Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => io::Error::other("it is a link, and would be followed"),
        Some(Errno::NXIO) => not_regular(),
        _ => error,
    })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(not_regular())
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is no regular file; remove it")
}
