//! Regular files, and nothing else: opening a pipe or a device may wait for ever, or do something. What a person names may
//! be a pipe as well, such as a shell makes for `<(command)`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

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

/// The same, and pipes. One is opened without waiting for somebody to write; reading then lasts as long as somebody does,
/// and ends at once where nobody does.
pub fn open_regular_or_pipe(path: &Utf8Path) -> io::Result<File> {
    if !is_pipe(path)? {
        return open_regular(path);
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    } else {
        require_regular(&file.metadata()?)?;
    }
    Ok(file)
}

/// Whether a pipe has this name.
pub fn is_pipe(path: &Utf8Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.file_type().is_fifo())
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
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_pipe_is_read_as_long_as_somebody_writes_and_is_empty_where_nobody_does() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let pipe = dir.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe.as_std_path(), 0o600.into()).unwrap();
        let read = |mut file: File| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read(open_regular_or_pipe(&pipe).unwrap()), "");
        let reader = open_regular_or_pipe(&pipe).unwrap();
        let mut writer = OpenOptions::new().write(true).open(&pipe).unwrap();
        let slow = std::thread::spawn(move || {
            for piece in ["a ", "config"] {
                writer.write_all(piece.as_bytes()).unwrap();
                std::thread::yield_now();
            }
        });
        assert_eq!(read(reader), "a config");
        slow.join().unwrap();
        assert_eq!(
            open_regular_or_pipe("/dev/null".into())
                .unwrap_err()
                .to_string(),
            "it is no regular file"
        );
    }

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
