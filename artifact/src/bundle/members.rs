//! What a file carries as it is stored: files of the contents, whole or as patches.

use camino::Utf8PathBuf;

use crate::bundle::carriage::{Carried, Patch};
use crate::{Contents, FileEntry, Sha256};

/// Where patches lie in the tar. No file of a bundle has such a name.
const PATCHES: &str = ".patch/";
const PATCH_MODE: u32 = 0o644;

/// A member of the tar, beside those of the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in `files`.
    pub file: usize,
    pub path: Utf8PathBuf,
    pub size: u64,
    pub mode: u32,
    pub sha256: Sha256,
    /// How the file is made from it, where it is not the file itself.
    pub patch: Option<Patch>,
}

impl Member {
    pub(crate) fn whole(file: usize, entry: &FileEntry) -> Self {
        Self {
            file,
            path: entry.path.clone(),
            size: entry.size,
            mode: entry.mode,
            sha256: entry.sha256,
            patch: None,
        }
    }

    pub(crate) fn of(carried: &Carried, contents: &Contents) -> Self {
        let entry = &contents.files[carried.index];
        match &carried.patch {
            None => Self::whole(carried.index, entry),
            Some(patch) => Self {
                file: carried.index,
                path: format!("{PATCHES}{}", entry.path).into(),
                size: patch.size,
                mode: PATCH_MODE,
                sha256: patch.sha256,
                patch: Some(patch.clone()),
            },
        }
    }
}
