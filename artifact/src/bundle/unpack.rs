//! A bundle becomes a tree: each member is written beside its final name and renamed when its digest is right, and
//! `bundle.json` comes last, so that its presence says that all the rest is there.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use event::Progress;
use sha2::Digest;

use crate::bundle::check::{Target, receive};
use crate::bundle::error::BundleError;
use crate::bundle::listing::{self, temporary_name};
use crate::bundle::open::Bundle;
use crate::bundle::stream::{MANIFEST, SIGNATURE};
use crate::{Cancel, FileEntry, Manifest, Sha256, Tree};

/// The manifest of the bundle before, while the tree is between the two.
const BEFORE: &str = ".bundle.json.before";
const CHUNK: usize = 256 << 10;
/// Until its content is known to be right, nobody else reads a file.
const PARTIAL_MODE: u32 = 0o600;

/// A tree that holds what its bundle lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files were written.
    pub written: usize,
    /// How many were there already, with the right content.
    pub kept: usize,
    /// What an earlier bundle put there and this one does not list; see [`prune`].
    pub stale: Vec<Utf8PathBuf>,
}

impl Bundle {
    /// Unpacks into `tree`, verifying every byte on the way. Whatever is wrong with single members is reported
    /// together at the end, the others having been unpacked. A later run keeps what is right and does the rest.
    ///
    /// `progress` counts the bytes of the files; [`Manifest::content_size`] is the total.
    pub fn unpack(
        &self,
        tree: &Tree,
        jobs: NonZeroUsize,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Unpacked, BundleError> {
        let files = &self.manifest().files;
        let root = Root::open(tree)?;
        let kept = survey(&root, files, jobs, progress, cancel);
        if cancel.is_cancelled() {
            return Err(BundleError::Cancelled);
        }
        let left = kept.iter().filter(|kept| !**kept).count();
        if left == 0 && root.holds(self) {
            return Ok(Unpacked {
                written: 0,
                kept: files.len(),
                stale: Vec::new(),
            });
        }
        let before = root.manifest_before();
        let disk = Disk {
            root: &root,
            files,
            kept: &kept,
            changing: Mutex::new(false),
        };
        if left > 0 || files.is_empty() {
            receive(self, &disk, jobs, progress, cancel)?;
        }
        disk.changes()?;
        root.complete(self)?;
        let stale = before
            .map(|before| root.stale(&before, files))
            .unwrap_or_default();
        Ok(Unpacked {
            written: left,
            kept: files.len() - left,
            stale,
        })
    }
}

/// Removes files of an earlier bundle, and the directories that are empty then.
pub fn prune(tree: &Tree, stale: &[Utf8PathBuf]) -> Result<(), BundleError> {
    let root = Root::open(tree)?;
    for path in stale {
        match root.dir.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(root.error(path, error));
            }
            _ => {}
        }
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_str().is_empty())
        {
            // Refused while something is in it.
            if root.dir.remove_dir(folder).is_err() {
                break;
            }
        }
    }
    Ok(())
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

/// The tree's directory. Paths below it cannot lead out of it, whatever links somebody may have planted there.
struct Root<'a> {
    tree: &'a Tree,
    dir: Dir,
}

impl<'a> Root<'a> {
    fn open(tree: &'a Tree) -> Result<Self, BundleError> {
        std::fs::create_dir_all(tree.root())
            .and_then(|()| Dir::open_ambient_dir(tree.root(), ambient_authority()))
            .map(|dir| Self { tree, dir })
            .map_err(|source| BundleError::write(tree.root(), source))
    }

    fn error(&self, path: &Utf8Path, source: io::Error) -> BundleError {
        BundleError::write(&self.tree.path(path), source)
    }

    fn has(&self, entry: &FileEntry, cancel: &Cancel) -> io::Result<bool> {
        let meta = self.dir.symlink_metadata(&entry.path)?;
        if !meta.is_file() || meta.len() != entry.size {
            return Ok(false);
        }
        let mut file = self.dir.open(&entry.path)?;
        let mut hasher = sha2::Sha256::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            let len = file.read(&mut chunk)?;
            if len == 0 {
                break;
            }
            if cancel.is_cancelled() {
                return Ok(false);
            }
            hasher.update(&chunk[..len]);
        }
        let same = Sha256::from(hasher) == entry.sha256;
        if same && meta.permissions().mode() & 0o7777 != entry.mode {
            file.set_permissions(Permissions::from_mode(entry.mode))?;
        }
        Ok(same)
    }

    /// Whether the tree says of itself that it is this bundle's.
    fn holds(&self, bundle: &Bundle) -> bool {
        let same =
            |path: &str, content: Option<&[u8]>| self.dir.read(path).ok().as_deref() == content;
        same(MANIFEST, Some(bundle.manifest_bytes())) && same(SIGNATURE, bundle.signature())
    }

    fn manifest_before(&self) -> Option<Manifest> {
        [MANIFEST, BEFORE]
            .iter()
            .find_map(|path| serde_json::from_slice(&self.dir.read(path).ok()?).ok())
    }

    fn complete(&self, bundle: &Bundle) -> Result<(), BundleError> {
        match bundle.signature() {
            Some(signature) => self.put(SIGNATURE, signature)?,
            None => self.remove(SIGNATURE)?,
        }
        self.put(MANIFEST, bundle.manifest_bytes())?;
        self.remove(BEFORE)
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), BundleError> {
        let mut partial = Partial::create(self, Utf8Path::new(path))?;
        partial.write(content)?;
        partial.publish(0o644)
    }

    fn remove(&self, path: &str) -> Result<(), BundleError> {
        match self.dir.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.error(Utf8Path::new(path), error))
            }
            _ => Ok(()),
        }
    }

    fn stale(&self, before: &Manifest, files: &[FileEntry]) -> Vec<Utf8PathBuf> {
        let listed: BTreeSet<&Utf8Path> = files.iter().map(|file| file.path.as_path()).collect();
        // A manifest that lies about is no reason to touch what no bundle may hold.
        if listing::check(&before.files).is_err() {
            return Vec::new();
        }
        before
            .files
            .iter()
            .filter(|file| !listed.contains(file.path.as_path()))
            .filter(|file| self.dir.symlink_metadata(&file.path).is_ok())
            .map(|file| file.path.clone())
            .collect()
    }
}

/// A file under its temporary name; removed unless it is published.
struct Partial<'a> {
    root: &'a Root<'a>,
    path: &'a Utf8Path,
    temporary: Utf8PathBuf,
    file: File,
    published: bool,
}

impl<'a> Partial<'a> {
    fn create(root: &'a Root<'a>, path: &'a Utf8Path) -> Result<Self, BundleError> {
        let temporary = path.with_file_name(temporary_name(path.file_name().unwrap_or_default()));
        let create = || {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(PARTIAL_MODE);
            root.dir.open_with(&temporary, &options)
        };
        let file = create().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let folder = temporary.parent().unwrap_or(Utf8Path::new(""));
                root.dir.create_dir_all(folder)?;
                create()
            }
            // Left behind by a run that was killed.
            io::ErrorKind::AlreadyExists => {
                root.dir.remove_file(&temporary)?;
                create()
            }
            _ => Err(error),
        });
        let file = file.map_err(|source| root.error(path, source))?;
        Ok(Self {
            root,
            path,
            temporary,
            file,
            published: false,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.file
            .write_all(bytes)
            .map_err(|source| self.root.error(self.path, source))
    }

    fn publish(mut self, mode: u32) -> Result<(), BundleError> {
        let dir = &self.root.dir;
        self.file
            .set_permissions(Permissions::from_mode(mode))
            .and_then(|()| dir.rename(&self.temporary, dir, self.path))
            .map_err(|source| self.root.error(self.path, source))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.published {
            // It has a name that counts for nothing, and the next run replaces it.
            let _ = self.root.dir.remove_file(&self.temporary);
        }
    }
}

struct Disk<'a> {
    root: &'a Root<'a>,
    files: &'a [FileEntry],
    kept: &'a [bool],
    changing: Mutex<bool>,
}

impl Disk<'_> {
    /// From here on the tree is no longer what its `bundle.json` says.
    fn changes(&self) -> Result<(), BundleError> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !*changing {
            match self.root.dir.rename(MANIFEST, &self.root.dir, BEFORE) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.root.error(Utf8Path::new(MANIFEST), error));
                }
                _ => *changing = true,
            }
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
        let entry = &self.files[file];
        Ok((Partial::create(self.root, &entry.path)?, entry.mode))
    }

    fn write(&self, (partial, _): &mut Self::Part, bytes: &[u8]) -> Result<(), BundleError> {
        partial.write(bytes)
    }

    fn finish(&self, (partial, mode): Self::Part) -> Result<(), BundleError> {
        partial.publish(mode)
    }
}
