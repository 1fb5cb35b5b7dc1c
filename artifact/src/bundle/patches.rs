//! Which files of a delta travel as patches: those of which an earlier version is with the receiver and here, where that
//! pays.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};

use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use sha2::Digest;

use crate::bundle::carriage::{Carry, Patch, PatchMethod};
use crate::bundle::cut::{SMALL, is_compressed_file};
use crate::bundle::delta::Places;
use crate::bundle::error::PackError;
use crate::bundle::layer::{self, Untaken};
use crate::bundle::layers;
use crate::bundle::listing::temporary_name;
use crate::bundle::patch::{self, Sized, Unmade};
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
        let wanted: HashSet<Sha256> = pairs.values().map(|pair| pair.held.sha256).collect();
        let sources = self.sources(&wanted)?;
        for member in &mut carry.members {
            if let Some(pair) = pairs.get(&member.index)
                && let Some(source) = sources.get(&pair.held.sha256)
            {
                member.patch = self.patch(member.index, *pair, source)?;
            }
        }
        Ok(())
    }

    /// For each file that is carried, an earlier version of it that the receiver has and keeps until it is made.
    fn pairs(&self, carry: &Carry) -> Result<HashMap<usize, Pair<'_>>, PackError> {
        let places = Places::of(self.contents);
        let earlier: HashMap<String, &Held> = earlier_of(self.base, &places)
            .map(|held| (alike(&held.path), held))
            .collect();
        let held = self.base.held().iter();
        let same: HashMap<&Utf8Path, &Held> = held
            .filter(|held| held.size > 0)
            .map(|held| (held.path.as_path(), held))
            .collect();
        let layers = match self.base.bundle() {
            Some(bundle) => layers::earlier(self.contents, self.tree, bundle, self.cancel)?,
            None => HashMap::new(),
        };
        let by_digest: HashMap<Sha256, &Held> = earlier_of(self.base, &places)
            .map(|held| (held.sha256, held))
            .collect();
        let mut pairs = HashMap::new();
        for member in &carry.members {
            let file = &self.contents.files[member.index];
            let layer = layers.get(&file.sha256);
            if let Some(held) = layer.and_then(|digest| by_digest.get(digest)) {
                let method = PatchMethod::Layer;
                pairs.insert(member.index, Pair { method, held });
                continue;
            }
            let before = same.get(file.path.as_path());
            let Some(held) = before.or_else(|| earlier.get(&alike(&file.path))) else {
                continue;
            };
            if file.size >= SMALL && !self.is_compressed(file)? {
                let method = PatchMethod::Zstd;
                pairs.insert(member.index, Pair { method, held });
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
        Pair { method, held }: Pair<'_>,
        source: &Utf8Path,
    ) -> Result<Option<Patch>, PackError> {
        let file = &self.contents.files[index];
        let place = self.tree.path(&file.path);
        let read = |path: &Utf8Path| {
            File::open(path).map_err(|source| PackError::Read {
                path: path.to_owned(),
                source,
            })
        };
        let (old, new) = (read(source)?, read(&place)?);
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
        let mut out = Hashed::new(BufWriter::new(File::create(&at).map_err(write)?));
        let alone = match method {
            PatchMethod::Zstd => {
                let alone = patch::make(base, wanted, &mut out, self.cancel).map_err(write)?;
                alone.ok_or(PackError::Cancelled)?
            }
            PatchMethod::Layer => {
                let scratch = || tempfile::tempfile_in(&self.patches.dir);
                match layer::make(base, wanted, scratch, &mut out, self.cancel) {
                    Ok(()) => file.size,
                    Err(Untaken::Unfit) => 0,
                    Err(Untaken::Cancelled) => return Err(PackError::Cancelled),
                    Err(Untaken::Io(error)) => return Err(write(error)),
                }
            }
        };
        let (size, sha256) = out.finish().map_err(write)?;
        let made = Patch {
            method,
            base: held.sha256,
            base_size: held.size,
            size,
            sha256,
        };
        // A quarter less, or it is not worth that the receiver needs the other file.
        if size > alone / 4 * 3 || !self.proves(&made, base, file, &at).map_err(write)? {
            fs::remove_file(&at).map_err(write)?;
            return Ok(None);
        }
        self.progress.add(file.size);
        Ok(Some(made))
    }
}

impl Making<'_> {
    /// Whether a patch makes its file, bit by bit.
    fn proves(
        &self,
        patch: &Patch,
        base: Sized<'_>,
        file: &FileEntry,
        at: &Utf8Path,
    ) -> io::Result<bool> {
        let mut hasher = sha2::Sha256::new();
        let sink = |bytes: &[u8]| {
            hasher.update(bytes);
            Ok::<_, Infallible>(())
        };
        let from = BufReader::new(File::open(at)?);
        let made = match patch.method {
            PatchMethod::Zstd => patch::apply(base, file.size, from, sink),
            PatchMethod::Layer => {
                let scratch = || tempfile::tempfile_in(&self.patches.dir);
                layer::apply(base, scratch, from, self.cancel, sink)
            }
        };
        match made {
            Ok(()) => Ok(Sha256::from(hasher) == file.sha256),
            Err(Unmade::Odd) => Ok(false),
            Err(Unmade::Base(error) | Unmade::Patch(error) | Unmade::Scratch(error)) => Err(error),
            Err(Unmade::Sink(never)) => match never {},
        }
    }
}

/// What the receiver has, and keeps until the bundle is unpacked.
fn earlier_of<'a>(base: &'a Base, places: &Places<'_>) -> impl Iterator<Item = &'a Held> {
    let held = base.held().iter();
    held.filter(move |held| held.size > 0 && places.leave(&held.path, held.sha256))
}

/// A file that is there, and how another is made from it.
#[derive(Clone, Copy)]
struct Pair<'a> {
    method: PatchMethod,
    held: &'a Held,
}

/// Sums what is written.
struct Hashed<W> {
    out: W,
    hasher: sha2::Sha256,
    size: u64,
}

impl<W: Write> Hashed<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            hasher: sha2::Sha256::new(),
            size: 0,
        }
    }

    fn finish(mut self) -> io::Result<(u64, Sha256)> {
        self.out.flush()?;
        Ok((self.size, Sha256::from(self.hasher)))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
