//! The tree's own files. Each is written beside its name and renamed, and left alone where it is right already.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt;

use artifact::{Sha256, Tree};
use camino::Utf8Path;

use crate::error::BundleError;
use crate::hash;

/// Where unpacking keeps earlier contents as well.
const ASIDE: &str = ".bundle.json.before";

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
        allow(path, mode)?;
        return Ok(written);
    }
    replace(path, mode, |file| file.write_all(content))?;
    Ok(written)
}

/// From here on the tree is no longer what its `bundle.json` says, and who signed that has not signed what is to come.
pub(crate) fn set_aside(tree: &Tree) -> Result<(), BundleError> {
    let (path, aside) = (tree.contents(), tree.path(ASIDE.into()));
    absent_is_fine(std::fs::rename(&path, &aside))
        .map_err(|e| BundleError::io("rename", &path, &e))?;
    remove(&tree.path("bundle.json.sig".into()))
}

/// The tree is what its new `bundle.json` says.
pub(crate) fn forget_aside(tree: &Tree) -> Result<(), BundleError> {
    remove(&tree.path(ASIDE.into()))
}

fn remove(path: &Utf8Path) -> Result<(), BundleError> {
    absent_is_fine(std::fs::remove_file(path)).map_err(|e| BundleError::io("remove", path, &e))
}

fn absent_is_fine(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Copies a file, which may be as large as a program.
pub(crate) fn copy(from: &Utf8Path, to: &Utf8Path, mode: u32) -> Result<Written, BundleError> {
    let source = digest(from).map_err(|e| BundleError::io("read", from, &e))?;
    if digest(to).is_ok_and(|present| present == source) {
        allow(to, mode)?;
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
    fill: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> Result<(), BundleError> {
    let dir = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    dir.and_then(|()| artifact::replace(path, mode, fill))
        .map_err(|e| BundleError::io("write", path, &e))
}

/// A right content may still have a wrong mode.
fn allow(path: &Utf8Path, mode: u32) -> Result<(), BundleError> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|e| BundleError::io("set the mode of", path, &e))
}

fn digest(path: &Utf8Path) -> std::io::Result<Written> {
    let (size, sha256) = hash::digest(&mut File::open(path)?)?;
    Ok(Written { size, sha256 })
}
