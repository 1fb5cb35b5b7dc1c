//! A bundle becomes a tree: each member is written beside its final name and renamed when its digest is right, and
//! `bundle.json` comes last, so that its presence says that all the rest is there.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use camino::Utf8PathBuf;
use event::Progress;

use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::bundle::receive::{Target, receive};
use crate::bundle::root::{Partial, Root};
use crate::{Cancel, FileEntry, Tree};

/// A tree that holds what its bundle lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files were written.
    pub written: usize,
    /// How many were there already, with the right content.
    pub kept: usize,
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
        if done {
            root.prune_all(&stale.first)?;
        } else {
            let disk = Disk {
                root: &root,
                bundle: self,
                stale: &stale.first,
                kept: &kept,
                changing: Mutex::new(false),
            };
            if left > 0 || files.is_empty() {
                receive(self, &disk, jobs, progress, cancel)?;
            }
            disk.changes()?;
            root.sync()?;
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
    let kept: Vec<AtomicBool> = files.iter().map(|_| AtomicBool::new(false)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..jobs.get() {
            scope.spawn(|| {
                while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(file) = files.get(index)
                    && !cancel.is_cancelled()
                {
                    // What cannot be read is written anew; if that fails too, it says why.
                    if root.has(file, cancel).unwrap_or(false) {
                        kept[index].store(true, Ordering::Relaxed);
                        progress.add(file.size);
                    }
                }
            });
        }
    });
    kept.into_iter().map(AtomicBool::into_inner).collect()
}

struct Disk<'a> {
    root: &'a Root<'a>,
    bundle: &'a Bundle,
    stale: &'a [Utf8PathBuf],
    kept: &'a [bool],
    changing: Mutex<bool>,
}

impl Disk<'_> {
    /// From here on the tree is no longer what its `bundle.json` says.
    fn changes(&self) -> Result<(), BundleError> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !*changing {
            self.root.set_contents_aside()?;
            self.root.prune_all(self.stale)?;
            self.root.begin(self.bundle)?;
            *changing = true;
        }
        Ok(())
    }
}

impl<'a> Target for Disk<'a> {
    type Part = (Partial<'a>, u32);

    fn wants(&self, file: usize) -> bool {
        !self.kept[file]
    }

    fn begin(&self, file: usize) -> Result<Self::Part, BundleError> {
        self.changes()?;
        let entry = &self.bundle.contents().files[file];
        Ok((Partial::create(self.root, &entry.path)?, entry.mode))
    }

    fn write(&self, (partial, _): &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError> {
        partial.write(bytes)
    }

    fn finish(&self, (partial, mode): Self::Part) -> Result<(), BundleError> {
        partial.publish(mode)
    }
}
