//! Regular files, and nothing else: opening a pipe or a device may wait for ever, or do something.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use rustix::fs::OFlags;

/// Opens a regular file for reading. Whatever else stands there is an error, and is never waited for.
pub fn open_regular(path: &Utf8Path) -> io::Result<File> {
    require_regular(&std::fs::metadata(path)?)?;
    // It may have been replaced in between: what was opened counts.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

fn require_regular(meta: &std::fs::Metadata) -> io::Result<()> {
    if meta.is_file() {
        Ok(())
    } else if meta.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let pipe = dir.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_std_path(), 0o600.into()).unwrap();
        let refused = |path: &Utf8Path| open_regular(path).unwrap_err().to_string();
        assert_eq!(refused(&pipe), "it is no regular file");
        assert_eq!(refused("/dev/null".into()), "it is no regular file");
        assert_eq!(
            open_regular(dir).unwrap_err().kind(),
            io::ErrorKind::IsADirectory
        );
        std::fs::write(dir.join("file"), "").unwrap();
        open_regular(&dir.join("file")).unwrap();
    }
}
