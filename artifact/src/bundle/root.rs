//! The directory of a tree, in which nothing is written outside of it or under its final name before it is right.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use rustix::fs::OFlags;
use sha2::Digest;

use crate::bundle::error::BundleError;
use crate::bundle::listing::temporary_name;
use crate::bundle::of_tree::limited;
use crate::bundle::open::Bundle;
use crate::bundle::pieces::write_pieces;
use crate::bundle::stream::{CONTENTS, SIGNATURE};
use crate::contents::HEAD_MAX;
use crate::{Cancel, Contents, FileEntry, Held, Sha256, Tree};

/// The contents of the bundle before, while the tree is between the two.
const BEFORE: &str = ".bundle.json.before";
/// The contents of the bundle that the tree is on its way to. No bundle may list a file of such a name.
const NEXT: &str = ".bundle.json.next.part";
const CHUNK: usize = 256 << 10;
const CONTENTS_MODE: u32 = 0o644;
/// Until its content is known to be right, nobody else reads a file.
const PARTIAL_MODE: u32 = 0o600;

/// The tree's directory. Paths below it cannot lead out of it, whatever links somebody may have planted there.
pub(super) struct Root<'a> {
    tree: &'a Tree,
    dir: Dir,
}

impl<'a> Root<'a> {
    pub(super) fn open(tree: &'a Tree) -> Result<Self, BundleError> {
        std::fs::create_dir_all(tree.root())
            .and_then(|()| Dir::open_ambient_dir(tree.root(), ambient_authority()))
            .map(|dir| Self { tree, dir })
            .map_err(|source| BundleError::write(tree.root(), source))
    }

    pub(super) fn path(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.tree.path(path)
    }

    fn error(&self, path: &Utf8Path, source: io::Error) -> BundleError {
        BundleError::write(&self.tree.path(path), source)
    }

    /// The same for whoever only looks: a tree that is not there is an error.
    pub(super) fn look(tree: &'a Tree) -> Result<Self, BundleError> {
        Dir::open_ambient_dir(tree.root(), ambient_authority())
            .map(|dir| Self { tree, dir })
            .map_err(|source| BundleError::Open {
                path: tree.root().to_owned(),
                source,
            })
    }

    /// Whether a file is there with the right content. Its mode is set right on the way.
    pub(super) fn has(&self, entry: &FileEntry, cancel: &Cancel) -> io::Result<bool> {
        let mode = self.dir.symlink_metadata(&entry.path)?.permissions().mode();
        let same = self.holds_file(&entry.into(), cancel)?;
        if same && mode & 0o7777 != entry.mode {
            let file = self.open_file(&entry.path)?;
            file.set_permissions(Permissions::from_mode(entry.mode))?;
        }
        Ok(same)
    }

    pub(super) fn open_file(&self, path: &Utf8Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        self.dir.open_with(path, &options)
    }

    /// Whether a file is there with this content: it is read whole.
    pub(super) fn holds_file(&self, held: &Held, cancel: &Cancel) -> io::Result<bool> {
        let meta = self.dir.symlink_metadata(&held.path)?;
        if !meta.is_file() || meta.len() != held.size {
            return Ok(false);
        }
        let mut file = self.open_file(&held.path)?;
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
        Ok(Sha256::from(hasher) == held.sha256)
    }

    /// What the tree's own lists name, each path with each content that it may have, in this order: of the bundle that it
    /// is, of the one before, and of the one that it is on its way to.
    pub(super) fn told(&self) -> Vec<Held> {
        let lists = [CONTENTS, BEFORE, NEXT].into_iter();
        let mut told: Vec<Held> = lists
            .filter_map(|list| Contents::read(&self.read(list)?).ok())
            .flat_map(|contents| contents.files)
            .map(|file| Held::from(&file))
            .collect();
        let mut seen = HashSet::new();
        told.retain(|held| seen.insert((held.path.clone(), held.sha256)));
        told
    }

    /// The digest of its `bundle.json`, if it has one.
    pub(super) fn contents_digest(&self) -> Option<Sha256> {
        self.read(CONTENTS).map(|bytes| Sha256::of(&bytes))
    }

    /// Its `bundle.json`, if it has one that can be understood.
    pub(super) fn contents(&self) -> Option<Contents> {
        Contents::read(&self.read(CONTENTS)?).ok()
    }

    /// Whether the tree says of itself that it is this bundle's.
    pub(super) fn holds(&self, bundle: &Bundle) -> bool {
        let same = |path: &str, content: Option<&[u8]>| self.read(path).as_deref() == content;
        same(CONTENTS, Some(bundle.contents_bytes())) && same(SIGNATURE, bundle.signature())
    }

    /// One of the tree's own lists; none where it is not there, or cannot be one.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags);
        let file = self.dir.open_with(path, &options).ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let bytes = limited(file, HEAD_MAX).ok()?;
        (bytes.len() as u64 <= HEAD_MAX).then_some(bytes)
    }

    /// The files of such a list. One that lies about is no reason to touch what no bundle may hold.
    fn listed(&self, path: &str) -> Option<Vec<Utf8PathBuf>> {
        let contents = Contents::read(&self.read(path)?).ok()?;
        Some(contents.files.into_iter().map(|file| file.path).collect())
    }

    /// What is there of earlier bundles, and is not among these files.
    pub(super) fn stale(&self, files: &[FileEntry], holds_this: bool) -> Stale {
        let mut lists = (!holds_this)
            .then(|| self.listed(CONTENTS))
            .into_iter()
            .flatten()
            .chain(self.listed(BEFORE));
        // This list stays while the next bundle is written.
        let noted: HashSet<Utf8PathBuf> = lists.next().into_iter().flatten().collect();
        let unnoted: Vec<Utf8PathBuf> = lists.chain(self.listed(NEXT)).flatten().collect();

        let listed: HashSet<&Utf8Path> = files.iter().map(|file| file.path.as_path()).collect();
        let folders: HashSet<&Utf8Path> = listed
            .iter()
            .flat_map(|path| path.ancestors().skip(1))
            .collect();
        let stale: BTreeSet<&Utf8PathBuf> = noted
            .iter()
            .chain(&unnoted)
            .filter(|path| !listed.contains(path.as_path()))
            .filter(|path| self.dir.symlink_metadata(path).is_ok())
            .collect();
        let (first, last) = stale.into_iter().cloned().partition(|path| {
            folders.contains(path.as_path())
                || path.ancestors().skip(1).any(|above| listed.contains(above))
                || !noted.contains(path)
        });
        Stale { first, last }
    }

    /// All that was written so far survives a power cut.
    pub(super) fn sync(&self) -> Result<(), BundleError> {
        let opened = std::fs::File::open(self.tree.root());
        opened
            .and_then(|tree| Ok(rustix::fs::syncfs(tree)?))
            .map_err(|error| self.error("".into(), error))
    }

    pub(super) fn complete(&self, bundle: &Bundle) -> Result<(), BundleError> {
        match bundle.signature() {
            Some(signature) => self.put(SIGNATURE, signature)?,
            None => self.remove(SIGNATURE.into())?,
        }
        self.put(CONTENTS, bundle.contents_bytes())
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), BundleError> {
        let mut partial = Partial::create(self, Utf8Path::new(path))?;
        partial.write(content)?;
        partial.publish(CONTENTS_MODE)
    }

    /// From here on the tree is no longer what its `bundle.json` says.
    pub(super) fn set_contents_aside(&self) -> Result<(), BundleError> {
        absent_is_fine(self.dir.rename(CONTENTS, &self.dir, BEFORE))
            .map_err(|source| self.error(CONTENTS.into(), source))
    }

    /// Notes what is about to be written, so that it goes again if this bundle is never completed.
    pub(super) fn begin(&self, bundle: &Bundle) -> Result<(), BundleError> {
        self.put(NEXT, bundle.contents_bytes())
    }

    pub(super) fn forget_earlier(&self) -> Result<(), BundleError> {
        self.remove(NEXT.into())?;
        self.remove(BEFORE.into())
    }

    pub(super) fn prune_all(&self, paths: &[Utf8PathBuf]) -> Result<(), BundleError> {
        paths.iter().try_for_each(|path| self.prune(path))
    }

    /// Removes a file, and the directories that are empty then.
    fn prune(&self, path: &Utf8Path) -> Result<(), BundleError> {
        self.remove(path)?;
        for folder in path
            .ancestors()
            .skip(1)
            .filter(|folder| !folder.as_str().is_empty())
        {
            // Refused while something is in it.
            if self.dir.remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), BundleError> {
        absent_is_fine(self.dir.remove_file(path)).map_err(|source| self.error(path, source))
    }
}

/// What is there of earlier bundles, and shall not be.
pub(super) struct Stale {
    /// To go before anything is written: a file that becomes a directory, or the other way round; and what no list
    /// names any more once another bundle is begun.
    pub first: Vec<Utf8PathBuf>,
    pub last: Vec<Utf8PathBuf>,
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A file under its temporary name; removed unless it is published.
pub(super) struct Partial<'a> {
    root: &'a Root<'a>,
    path: &'a Utf8Path,
    temporary: Utf8PathBuf,
    file: File,
    published: bool,
}

impl<'a> Partial<'a> {
    pub(super) fn create(root: &'a Root<'a>, path: &'a Utf8Path) -> Result<Self, BundleError> {
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

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        write_pieces(&mut self.file, bytes).map_err(|source| self.root.error(self.path, source))
    }

    pub(super) fn publish(mut self, mode: u32) -> Result<(), BundleError> {
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
