//! Files that are there whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::bundle::temporary_name;

/// Writes a file beside its name, and gives it its name when all of it is on disk. What a killed run left behind is
/// replaced, and does not pile up.
pub fn replace(
    path: &Utf8Path,
    mode: u32,
    fill: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let temporary = path.with_file_name(temporary_name(name));
    let dir = path
        .parent()
        .filter(|dir| !dir.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = File::create_new(&temporary).and_then(|file| {
        let mut writer = BufWriter::new(&file);
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if let Err(error) = written {
        // Its name counts for nothing, and the next run replaces it.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(dir)?.sync_all()
}

/// The same for whoever writes here and there in it: a file that counts for nothing until it is renamed.
pub(crate) fn begun(path: &Utf8Path) -> io::Result<(Utf8PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let part = path.with_file_name(temporary_name(name));
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A link that somebody has planted is not followed.
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&part)?;
    Ok((part, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_replaced_and_a_failure_leaves_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let path = dir.join("lock");
        fs::write(dir.join(".lock.part"), "half a").unwrap();
        replace(&path, 0o640, |file| file.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let failing = replace(&path, 0o640, |file| {
            file.write_all(b"half a")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failing.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(
            fs::read_dir(dir).unwrap().count(),
            1,
            "nothing else is left"
        );
    }
}
