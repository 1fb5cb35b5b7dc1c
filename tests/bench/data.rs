//! The tree that is packed: as a bundle's, with real programs and with images whose layers are compressed already.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use artifact::{Contents, FileEntry, Sha256, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use sha2::Digest;

use crate::images;

pub struct Data {
    /// Where everything of this run lies.
    pub work: Utf8PathBuf,
    pub tree: Tree,
    pub contents: Contents,
    /// `bundle.json`, beside the tree.
    pub listing: Utf8PathBuf,
}

const VERSION: &str = "v1.0.0";

impl Data {
    /// A tree of this size: all of `programs`, and images for the rest.
    pub fn make(work: &Utf8Path, programs: &Utf8Path, size: u64) -> Result<Self> {
        eprintln!("making the tree, once");
        let tree = Tree::at(work.join("tree"));
        let mut files = Vec::new();
        for component in folders(programs)? {
            let name = component.file_name().unwrap_or_default();
            let to: Utf8PathBuf = format!("{name}/{VERSION}/amd64").into();
            fs::create_dir_all(tree.path(&to))?;
            for program in entries(&component)? {
                let to = to.join(program.file_name().unwrap_or_default());
                fs::copy(&program, tree.path(&to)).with_context(|| format!("copying {program}"))?;
                let mut entry = listed(&tree, to, 0o755)?;
                entry.component = Some(name.to_owned());
                entry.version = Some(VERSION.to_owned());
                entry.arch = Some(Arch::Amd64);
                files.push(entry);
            }
        }
        ensure!(
            !files.is_empty(),
            "{programs} holds no programs: run tests/bench/deps.sh first"
        );
        let taken: u64 = files.iter().map(|file| file.size).sum();
        let rest = size.checked_sub(taken).filter(|rest| *rest >= images::MIN);
        let rest = rest.with_context(|| {
            let least = (taken + images::MIN) / crate::MB + 1;
            format!("the size must be {least} MB or more")
        })?;
        let images = images::make(&tree, rest)?;
        for path in files_below(tree.images().as_path())? {
            let path = path.strip_prefix(tree.root())?.to_owned();
            files.push(listed(&tree, path, 0o644)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let contents = Contents {
            arches: vec![Arch::Amd64, Arch::Arm64],
            files,
            images,
            ..Contents::new("bench", env!("CARGO_PKG_VERSION"))
        };
        let listing = work.join("bundle.json");
        fs::write(&listing, contents.to_bytes())?;
        Ok(Self {
            work: work.to_owned(),
            tree,
            contents,
            listing,
        })
    }

    pub fn describe(&self) -> String {
        let size = |inside: &str| -> u64 {
            let files = self.contents.files.iter();
            let inside = files.filter(|file| file.path.starts_with(inside));
            inside.map(|file| file.size).sum::<u64>() / crate::MB
        };
        format!(
            "tree     {} MB in {} files: {} images for two architectures (layers compressed already) {} MB, \
             Kubernetes' programs {} MB, the rest {} MB",
            size(""),
            self.contents.files.len(),
            self.contents.images.len(),
            size("images"),
            size("kubernetes"),
            size("") - size("images") - size("kubernetes"),
        )
    }
}

fn listed(tree: &Tree, path: Utf8PathBuf, mode: u32) -> Result<FileEntry> {
    let full = tree.path(&path);
    fs::set_permissions(&full, fs::Permissions::from_mode(mode))?;
    let mut hasher = sha2::Sha256::new();
    let size = io::copy(&mut File::open(&full)?, &mut HashWriter(&mut hasher))?;
    Ok(FileEntry::new(path, size, mode, Sha256::from(hasher)))
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn entries(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let entries = dir
        .read_dir_utf8()
        .with_context(|| format!("reading {dir}"))?;
    let paths = entries.map(|entry| Ok(entry?.into_path()));
    paths.collect()
}

fn folders(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut found = entries(dir)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

fn files_below(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut found = Vec::new();
    for path in entries(dir)? {
        if path.is_dir() {
            found.append(&mut files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Bytes that no compressor makes smaller, the same at every run.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
