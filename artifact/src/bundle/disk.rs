//! Where members become files of a tree: as they are, or made from a file that is there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use sha2::Digest;

use crate::bundle::carriage::{Patch, PatchMethod};
use crate::bundle::error::BundleError;
use crate::bundle::fault::Fault;
use crate::bundle::layer;
use crate::bundle::open::Bundle;
use crate::bundle::patch::{self, Sized, Unmade};
use crate::bundle::pieces::write_pieces;
use crate::bundle::receive::Target;
use crate::bundle::root::{Partial, Root};
use crate::{Cancel, FileEntry, Sha256};

const CHUNK: usize = 256 << 10;

pub(super) struct Disk<'a> {
    root: &'a Root<'a>,
    bundle: &'a Bundle,
    stale: &'a [Utf8PathBuf],
    kept: &'a [bool],
    /// What patches are made from.
    bases: &'a HashMap<Sha256, Utf8PathBuf>,
    cancel: &'a Cancel,
    changing: Mutex<bool>,
    /// One at a time: each takes some 100 MiB.
    patching: Mutex<()>,
}

/// What a tree is made from, beside the bundle.
pub(super) struct Ground<'a> {
    pub stale: &'a [Utf8PathBuf],
    pub kept: &'a [bool],
    pub bases: &'a HashMap<Sha256, Utf8PathBuf>,
}

impl<'a> Disk<'a> {
    pub(super) fn new(
        root: &'a Root<'a>,
        bundle: &'a Bundle,
        Ground { stale, kept, bases }: Ground<'a>,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            root,
            bundle,
            stale,
            kept,
            bases,
            cancel,
            changing: Mutex::new(false),
            patching: Mutex::new(()),
        }
    }

    /// From here on the tree is no longer what its `bundle.json` says.
    pub(super) fn changes(&self) -> Result<(), BundleError> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !*changing {
            self.root.set_contents_aside()?;
            self.root.prune_all(self.stale)?;
            self.root.begin(self.bundle)?;
            *changing = true;
        }
        Ok(())
    }

    /// Takes a file from another place of the tree.
    pub(super) fn copy(
        &self,
        entry: &FileEntry,
        source: &Utf8Path,
        progress: &Progress,
    ) -> Result<(), BundleError> {
        let path = self.root.path(source);
        let read = |error| BundleError::read(&path, error);
        let mut from = self.root.open_file(source).map_err(read)?;
        let mut written = Written::begin(self.root, entry)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let len = from.read(&mut chunk).map_err(read)?;
            if len == 0 {
                break;
            }
            self.goes_on()?;
            written.write(&chunk[..len])?;
            progress.add(len as u64);
        }
        if written.publish()? {
            Ok(())
        } else {
            Err(BundleError::Unsteady { path })
        }
    }

    fn goes_on(&self) -> Result<(), BundleError> {
        if self.cancel.is_cancelled() {
            Err(BundleError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Makes a file from one that is there.
    fn make(&self, entry: &FileEntry, patch: &Patch, spool: File) -> Result<(), BundleError> {
        let _alone = self.patching.lock().unwrap_or_else(PoisonError::into_inner);
        let source = self
            .bases
            .get(&patch.base)
            .map_or("".into(), Utf8PathBuf::as_path);
        let place = self.root.path(source);
        let read = |error| BundleError::read(&place, error);
        let file = self.root.open_file(source).map_err(read)?.into_std();
        let base = Sized {
            file: &file,
            size: patch.base_size,
        };
        let mut written = Written::begin(self.root, entry)?;
        let dir = self.root.path("".into());
        let sink = |bytes: &[u8]| {
            self.goes_on()?;
            written.write(bytes)
        };
        let spool = BufReader::new(spool);
        let made = match patch.method {
            PatchMethod::Zstd => patch::apply(base, entry.size, spool, sink),
            PatchMethod::Layer => {
                let scratch = || tempfile::tempfile_in(&dir);
                layer::apply(base, scratch, spool, self.cancel, sink)
            }
        };
        let good = match made {
            Ok(()) => written.publish()?,
            Err(Unmade::Odd) => false,
            Err(Unmade::Base(error)) => return Err(read(error)),
            Err(Unmade::Patch(error)) => return Err(BundleError::read(self.bundle.path(), error)),
            Err(Unmade::Scratch(error)) => return Err(BundleError::write(&dir, error)),
            Err(Unmade::Sink(error)) => return Err(error),
        };
        if good {
            return Ok(());
        }
        Err(BundleError::Faulty {
            path: self.bundle.path().to_owned(),
            faults: vec![Fault::Patch {
                member: entry.path.to_string(),
            }],
        })
    }
}

/// A file that is judged when all of it is written.
struct Written<'a> {
    partial: Partial<'a>,
    hasher: sha2::Sha256,
    entry: &'a FileEntry,
}

impl<'a> Written<'a> {
    fn begin(root: &'a Root<'a>, entry: &'a FileEntry) -> Result<Self, BundleError> {
        Ok(Self {
            partial: Partial::create(root, &entry.path)?,
            hasher: sha2::Sha256::new(),
            entry,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.hasher.update(bytes);
        self.partial.write(bytes)
    }

    /// Gives it its name, if it is what the bundle lists.
    fn publish(self) -> Result<bool, BundleError> {
        if Sha256::from(self.hasher) != self.entry.sha256 {
            return Ok(false);
        }
        self.partial.publish(self.entry.mode)?;
        Ok(true)
    }
}

/// A member that is being received.
pub(super) enum Coming<'a> {
    Whole(Partial<'a>, u32),
    /// In a file without a name, until its own digest is known to be right.
    Patch(File, usize),
}

impl<'a> Target for Disk<'a> {
    type Part = Coming<'a>;

    fn wants(&self, member: usize) -> bool {
        !self.kept[self.bundle.members[member].file]
    }

    fn begin(&self, member: usize) -> Result<Self::Part, BundleError> {
        self.changes()?;
        let found = &self.bundle.members[member];
        if found.patch.is_some() {
            let dir = self.root.path("".into());
            let spool = tempfile::tempfile_in(&dir).map_err(|e| BundleError::write(&dir, e))?;
            return Ok(Coming::Patch(spool, member));
        }
        let entry = &self.bundle.contents().files[found.file];
        Ok(Coming::Whole(
            Partial::create(self.root, &entry.path)?,
            entry.mode,
        ))
    }

    fn write(&self, part: &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError> {
        match part {
            Coming::Whole(partial, _) => partial.write(bytes),
            Coming::Patch(spool, _) => write_pieces(spool, bytes)
                .map_err(|source| BundleError::write(&self.root.path("".into()), source)),
        }
    }

    fn finish(&self, part: Self::Part) -> Result<(), BundleError> {
        let (mut spool, member) = match part {
            Coming::Whole(partial, mode) => return partial.publish(mode),
            Coming::Patch(spool, member) => (spool, member),
        };
        let found = &self.bundle.members[member];
        let Some(patch) = &found.patch else {
            return Ok(());
        };
        spool
            .rewind()
            .map_err(|source| BundleError::read(self.bundle.path(), source))?;
        self.make(&self.bundle.contents().files[found.file], patch, spool)
    }
}
