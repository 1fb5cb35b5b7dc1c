use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use artifact::Tree;
use camino::Utf8Path;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::output::OutputError;
use crate::error::BundleError;

/// Keeps every other kubexm off this cluster's tree. The kernel frees it when the process dies.
#[derive(Debug)]
pub struct Guard {
    file: File,
}

impl Guard {
    pub(crate) fn take(tree: &Tree) -> Result<Self, BundleError> {
        let path = tree.state().join("lock");
        std::fs::create_dir_all(tree.state()).map_err(|e| unusable(&tree.state(), &e))?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(flags.bits().cast_signed())
            .open(&path)
            .and_then(regular)
            .map_err(|e| unusable(&path, &e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(BundleError::Busy { path }),
            Err(error) => return Err(BundleError::io("lock", path, &error.into())),
        }
        let holder = format!("bundle, process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|e| BundleError::io("write", path, &e))?;
        Ok(Self { file })
    }

    /// The same once more: the tree is free when both are gone.
    pub(crate) fn shared(&self) -> io::Result<Self> {
        let file = self.file.try_clone()?;
        Ok(Self { file })
    }

    /// The locked file, for whoever goes on with the tree: as long as it is open, nobody else has it.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Whatever else somebody has put there is not written to.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no regular file; remove it"))
    }
}

fn unusable(path: &Utf8Path, error: &io::Error) -> OutputError {
    OutputError::WorkDir {
        path: path.to_owned(),
        cause: error.to_string(),
    }
}
