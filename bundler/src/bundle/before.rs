//! What the tree held before: whole until the new is. Each of its files has a second name while a bundle is made, and gets the
//! first one back where that comes to nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use artifact::{Contents, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use event::Events;

use super::write;
use crate::error::BundleError;

const CONTENTS: &str = "bundle.json";
const SIGNATURE: &str = "bundle.json.sig";

/// The files of a tree that was whole.
pub(super) struct Before {
    tree: Tree,
    files: Vec<Utf8PathBuf>,
}

impl Before {
    /// None where the tree is not whole, or on a file system on which a file has one name only.
    pub(super) fn keep(tree: &Tree) -> Result<Option<Self>, BundleError> {
        let root = place(tree);
        // A run that was killed has left it, and the tree in between.
        if tree.contents().is_file() {
            remove(&root)?;
        } else if root.join(CONTENTS).is_file() {
            let kept = Self::listed(tree, &Tree::at(&root));
            kept.map_or(Ok(()), |kept| kept.return_all())
                .map_err(|e| BundleError::io("put back", root, &e))?;
        }
        let Some(before) = Self::listed(tree, tree) else {
            return Ok(None);
        };
        for file in &before.files {
            let kept = before.kept(file);
            let dir = kept.parent().map_or(Ok(()), fs::create_dir_all);
            if dir
                .and_then(|()| fs::hard_link(tree.path(file), &kept))
                .is_err()
            {
                remove(&place(tree))?;
                return Ok(None);
            }
        }
        Ok(Some(before))
    }

    /// The files that `by` says belong to a tree, its list being the last.
    fn listed(tree: &Tree, by: &Tree) -> Option<Self> {
        let (contents, _) = Contents::of_tree(by).ok()?;
        let mut files: Vec<_> = contents.files.into_iter().map(|file| file.path).collect();
        if by.path(SIGNATURE.into()).is_file() {
            files.push(SIGNATURE.into());
        }
        files.push(CONTENTS.into());
        Some(Self {
            tree: tree.clone(),
            files,
        })
    }

    /// The new is whole.
    pub(super) fn forget(&self) -> Result<(), BundleError> {
        remove(&place(&self.tree))
    }

    /// There is nothing new: the tree is what it was, or it is said that it is not.
    pub(super) fn put_back(&self, events: &Events) {
        if let Err(error) = self.return_all() {
            events.warn(
                format!(
                    "{} is neither what it was before nor what it is to be: {error}",
                    self.tree.root()
                ),
                Some("bundle again, or unpack a bundle, before something is installed from it"),
            );
        }
    }

    fn return_all(&self) -> io::Result<()> {
        let identity = |path: &Utf8Path| {
            let meta = fs::symlink_metadata(path).ok()?;
            Some((meta.dev(), meta.ino()))
        };
        for file in &self.files {
            let (kept, path) = (self.kept(file), self.tree.path(file));
            if identity(&path) != identity(&kept) {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                // To rename it would leave nothing for the next attempt.
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => fs::hard_link(&kept, &path)?,
                }
            }
        }
        write::forget_aside(&self.tree)
            .and_then(|()| remove(&place(&self.tree)))
            .map_err(io::Error::other)
    }

    fn kept(&self, file: &Utf8Path) -> Utf8PathBuf {
        place(&self.tree).join(file)
    }
}

fn place(tree: &Tree) -> Utf8PathBuf {
    tree.state().join("before")
}

fn remove(dir: &Utf8Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BundleError::io("remove", dir, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use artifact::{FileEntry, Sha256};

    use super::*;

    /// A tree that holds these files, and what it says of itself.
    fn tree(dir: &Utf8Path, files: &[(&str, &str)]) -> Tree {
        let tree = Tree::at(dir.join("c"));
        for (name, text) in files {
            let path = tree.path((*name).into());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let entry = |(name, text): &(&str, &str)| {
            FileEntry::new(*name, text.len() as u64, 0o644, Sha256::of(text.as_bytes()))
        };
        let contents = Contents {
            files: files.iter().map(entry).collect(),
            ..Contents::new("c", "0")
        };
        fs::write(tree.contents(), contents.to_bytes()).unwrap();
        tree
    }

    fn contents(tree: &Tree) -> [String; 3] {
        ["config.yaml", "etcd/v1/amd64/etcd", CONTENTS]
            .map(|file| fs::read_to_string(tree.path(file.into())).unwrap_or_default())
    }

    /// What a run does to the tree until it comes to nothing.
    fn half(tree: &Tree) {
        artifact::replace(&tree.config(), 0o644, |file| {
            io::Write::write_all(file, b"new")
        })
        .unwrap();
        fs::remove_file(tree.path("etcd/v1/amd64/etcd".into())).unwrap();
        write::set_aside(tree).unwrap();
    }

    fn some() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap();
        let tree = tree(
            path,
            &[("config.yaml", "old"), ("etcd/v1/amd64/etcd", "program")],
        );
        (dir, tree)
    }

    #[test]
    fn what_comes_to_nothing_leaves_the_tree_as_it_was() {
        let (_dir, tree) = some();
        let before = contents(&tree);
        let kept = Before::keep(&tree).unwrap().unwrap();
        half(&tree);
        assert_ne!(contents(&tree), before);
        kept.put_back(&Events::to(Vec::new()));
        assert_eq!(contents(&tree), before);
        assert!(!place(&tree).exists());
        assert!(!tree.path(".bundle.json.before".into()).exists());
    }

    #[test]
    fn the_next_run_mends_what_a_killed_one_has_left() {
        let (_dir, tree) = some();
        let before = contents(&tree);
        drop(Before::keep(&tree).unwrap());
        half(&tree);
        let kept = Before::keep(&tree).unwrap().unwrap();
        assert_eq!(contents(&tree), before);
        kept.forget().unwrap();
        assert!(!place(&tree).exists());
        fs::remove_file(tree.contents()).unwrap();
        assert!(Before::keep(&tree).unwrap().is_none());
    }
}
