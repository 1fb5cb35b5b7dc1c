//! A bundle becomes a tree: each member is written beside its final name and renamed when its digest is right, and
//! `bundle.json` comes last, so that its presence says that all the rest is there.

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use event::Progress;

use crate::bundle::disk::{Disk, Ground};
use crate::bundle::elsewhere::{Awaited, Elsewhere, each};
use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::receive::receive;
use crate::bundle::root::Root;
use crate::{Cancel, FileEntry, Tree};

/// A tree that holds what its bundle lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files were written.
    pub written: usize,
    /// How many were there already, with the right content.
    pub kept: usize,
    /// Segments that did not come yet: until then the tree is not complete.
    pub missing: Vec<Awaited>,
    /// What an earlier bundle had put there and this one does not list; it is gone, with the directories that were
    /// empty then.
    pub pruned: Vec<Utf8PathBuf>,
}

impl Bundle {
    /// Unpacks into `tree`, verifying every byte on the way. Whatever is wrong with single members is reported
    /// together at the end, the others having been unpacked. A later run keeps what is right and does the rest.
    ///
    /// `progress` counts the bytes of the files; [`Contents::content_size`] is the total.
    pub fn unpack(
        &self,
        tree: &Tree,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Unpacked, BundleError> {
        let files = &self.contents().files;
        let root = Root::open(tree)?;
        let kept = survey(&root, files, jobs, progress, cancel);
        if cancel.is_cancelled() {
            return Err(BundleError::Cancelled);
        }
        let left = kept.iter().filter(|kept| !**kept).count();
        let done = left == 0 && root.holds(self);
        let stale = root.stale(files, done);
        let elsewhere = Elsewhere::of(self, (tree, &root), &kept, &stale.first, (jobs, cancel))?;
        if done {
            root.prune_all(&stale.first)?;
        } else {
            let ground = Ground {
                stale: &stale.first,
                kept: &kept,
                bases: &elsewhere.bases,
            };
            let disk = Disk::new(&root, self, ground, cancel);
            if !elsewhere.copies.is_empty() {
                disk.changes()?;
            }
            // Before what they are copied from is replaced.
            for (file, source) in &elsewhere.copies {
                disk.copy(&files[*file], source, progress)?;
            }
            let missing: usize = elsewhere.missing.iter().map(|it| it.files).sum();
            if left > missing || files.is_empty() {
                receive(self, &disk, jobs, progress, cancel)?;
            }
            disk.changes()?;
            root.sync()?;
            if missing > 0 {
                return Ok(Unpacked {
                    written: left - missing,
                    kept: files.len() - left,
                    missing: elsewhere.missing,
                    pruned: Vec::new(),
                });
            }
            root.complete(self)?;
        }
        root.prune_all(&stale.last)?;
        let mut pruned = [stale.first, stale.last].concat();
        pruned.sort();
        // Only now: until then they are the only lists of what is to go.
        root.forget_earlier()?;
        Ok(Unpacked {
            written: left,
            kept: files.len() - left,
            missing: Vec::new(),
            pruned,
        })
    }
}

/// Which files are there already, with the right content. Their modes are set right on the way.
fn survey(
    root: &Root<'_>,
    files: &[FileEntry],
    jobs: NonZeroUsize,
    progress: &Progress,
    cancel: &Cancel,
) -> Vec<bool> {
    each(files, (jobs, cancel), |file| {
        // What cannot be read is written anew; if that fails too, it says why.
        let has = root.has(file, cancel).unwrap_or(false);
        if has {
            progress.add(file.size);
        }
        has
    })
}
