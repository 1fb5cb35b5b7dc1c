//! The tree's own files. Each is written beside its name and renamed, and left alone where it is right already.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;

use artifact::Sha256;
use camino::Utf8Path;

use crate::error::BundleError;
use crate::hash;

/// What lies there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub size: u64,
    pub sha256: Sha256,
}

pub(crate) fn bytes(path: &Utf8Path, content: &[u8], mode: u32) -> Result<Written, BundleError> {
    let written = Written {
        size: content.len() as u64,
        sha256: Sha256::of(content),
    };
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(written);
    }
    replace(path, mode, |file| file.write_all(content))?;
    Ok(written)
}

/// Copies a file, which may be as large as a program.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path, mode: u32) -> Result<Written, BundleError> {
    let source = digest(from).map_err(|e| BundleError::io("read", from, &e))?;
    if digest(to).is_ok_and(|present| present == source) {
        return Ok(source);
    }
    replace(to, mode, |file| {
        std::io::copy(&mut File::open(from)?, file)?;
        Ok(())
    })?;
    Ok(source)
}

fn replace(
    path: &Utf8Path,
    mode: u32,
    fill: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<(), BundleError> {
    let write = || {
        let dir = path
            .parent()
            .filter(|dir| !dir.as_str().is_empty())
            .unwrap_or(Utf8Path::new("."));
        std::fs::create_dir_all(dir)?;
        let mut beside = tempfile::Builder::new()
            .prefix(".kubexm-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(dir)?;
        let mut writer = BufWriter::new(beside.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
        drop(writer);
        beside
            .as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        beside.as_file().sync_all()?;
        beside.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e: std::io::Error| BundleError::io("write", path, &e))
}

fn digest(path: &Utf8Path) -> std::io::Result<Written> {
    let (size, sha256) = hash::digest(&mut File::open(path)?)?;
    Ok(Written { size, sha256 })
}
