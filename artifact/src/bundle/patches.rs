//! Which files of a delta travel as patches: those of which an earlier version is with the receiver and here, where that
//! pays.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;

use crate::bundle::carriage::{Carry, Patch, PatchMethod};
use crate::bundle::cut::{SMALL, is_compressed_file};
use crate::bundle::delta::Places;
use crate::bundle::error::PackError;
use crate::bundle::listing::temporary_name;
use crate::bundle::patch::{self, Sized};
use crate::{Base, Cancel, Contents, FileEntry, Held, Sha256, Tree};

/// Patches on their way into a bundle. They go with this.
pub(super) struct Patches {
    dir: Utf8PathBuf,
}

impl Patches {
    /// Beside the bundle. What a killed run left there is replaced.
    pub(super) fn beside(output: &Utf8Path) -> io::Result<Self> {
        let name = format!("{}.patches", output.file_name().unwrap_or_default());
        let dir = output.with_file_name(temporary_name(&name));
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&dir)?;
        Ok(Self { dir })
    }

    /// Where the patch of a file lies, by its place in `files`.
    pub(super) fn at(&self, file: usize) -> Utf8PathBuf {
        self.dir.join(format!("{file}.patch"))
    }

    fn base(&self, digest: Sha256) -> Utf8PathBuf {
        self.dir.join(digest.to_string())
    }
}

impl Drop for Patches {
    fn drop(&mut self) {
        // Its name counts for nothing, and the next run replaces it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What patches are made of.
pub(super) struct Making<'a> {
    pub contents: &'a Contents,
    pub tree: &'a Tree,
    pub base: &'a Base,
    pub patches: &'a Patches,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
}

impl Making<'_> {
    /// Turns members into patches, where that pays.
    pub(super) fn run(&self, carry: &mut Carry) -> Result<(), PackError> {
        let pairs = self.pairs(carry)?;
        let wanted: HashSet<Sha256> = pairs.values().map(|held| held.sha256).collect();
        let sources = self.sources(&wanted)?;
        for member in &mut carry.members {
            if let Some(held) = pairs.get(&member.index)
                && let Some(source) = sources.get(&held.sha256)
            {
                member.patch = self.patch(member.index, held, source)?;
            }
        }
        Ok(())
    }

    /// For each file that is carried, an earlier version of it that the receiver has and keeps until it is made.
    fn pairs(&self, carry: &Carry) -> Result<HashMap<usize, &Held>, PackError> {
        let places = Places::of(self.contents);
        let held = self.base.held().iter();
        let earlier: HashMap<String, &Held> = held
            .clone()
            .filter(|held| held.size > 0 && places.leave(&held.path, held.sha256))
            .map(|held| (alike(&held.path), held))
            .collect();
        let same: HashMap<&Utf8Path, &Held> = held
            .filter(|held| held.size > 0)
            .map(|held| (held.path.as_path(), held))
            .collect();
        let mut pairs = HashMap::new();
        for member in &carry.members {
            let file = &self.contents.files[member.index];
            let before = same.get(file.path.as_path());
            let Some(held) = before.or_else(|| earlier.get(&alike(&file.path))) else {
                continue;
            };
            if file.size >= SMALL && !self.is_compressed(file)? {
                pairs.insert(member.index, *held);
            }
        }
        Ok(pairs)
    }

    fn is_compressed(&self, file: &FileEntry) -> Result<bool, PackError> {
        let path = self.tree.path(&file.path);
        is_compressed_file(&path).map_err(|source| PackError::Read { path, source })
    }

    /// Where the bytes of what the receiver has lie on this machine: in the tree still, or in the bundle that it had.
    fn sources(&self, wanted: &HashSet<Sha256>) -> Result<HashMap<Sha256, Utf8PathBuf>, PackError> {
        let mut sources = crate::bundle::elsewhere::in_tree(self.tree, wanted, self.cancel);
        let Some(bundle) = self.base.bundle() else {
            return Ok(sources);
        };
        let left: HashSet<Sha256> = wanted
            .iter()
            .filter(|digest| !sources.contains_key(*digest))
            .copied()
            .collect();
        let to = |digest| self.patches.base(digest);
        for digest in bundle.put_aside(&left, to, self.cancel)? {
            sources.insert(digest, to(digest));
        }
        Ok(sources)
    }

    fn patch(
        &self,
        index: usize,
        held: &Held,
        source: &Utf8Path,
    ) -> Result<Option<Patch>, PackError> {
        let file = &self.contents.files[index];
        let path = self.tree.path(&file.path);
        let read = |path: &Utf8Path| {
            File::open(path).map_err(|source| PackError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let (old, new) = (read(source)?, read(&path)?);
        let (base, wanted) = (
            Sized {
                file: &old,
                size: held.size,
            },
            Sized {
                file: &new,
                size: file.size,
            },
        );
        let at = self.patches.at(index);
        let write = |source| PackError::write(&at, source);
        let mut out = BufWriter::new(File::create(&at).map_err(write)?);
        let made = patch::make(base, wanted, &mut out, self.cancel).map_err(write)?;
        let made = made.ok_or(PackError::Cancelled)?;
        out.flush().map_err(write)?;
        // A quarter less, or it is not worth that the receiver needs the other file.
        if made.size > made.alone / 4 * 3 {
            fs::remove_file(&at).map_err(write)?;
            return Ok(None);
        }
        self.progress.add(file.size);
        Ok(Some(Patch {
            method: PatchMethod::Zstd,
            base: held.sha256,
            base_size: held.size,
            size: made.size,
            sha256: made.sha256,
        }))
    }
}

/// The same for every version of a file: its path without digits.
fn alike(path: &Utf8Path) -> String {
    let chars = path.as_str().chars();
    chars.filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_file_are_alike_and_others_are_not() {
        let same = |a: &str, b: &str| alike(a.into()) == alike(b.into());
        assert!(same(
            "kubernetes/v1.36.2/amd64/kubelet",
            "kubernetes/v1.37.10/amd64/kubelet"
        ));
        assert!(!same(
            "kubernetes/v1.36.2/amd64/kubelet",
            "kubernetes/v1.36.2/arm64/kubelet"
        ));
        assert!(!same(
            "kubernetes/v1.36.2/amd64/kubelet",
            "kubernetes/v1.36.2/amd64/kubectl"
        ));
    }
}
