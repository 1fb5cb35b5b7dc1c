//! A small tree with every kind of member, packed.
#![allow(dead_code)] // each test crate uses its part

pub mod forgery;

use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;

use artifact::{
    Base, Bundle, BundleError, Cancel, Contents, FileEntry, PackError, Packed, Packing, Sha256,
    Signer, Tree, Unpacked, pack,
};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use event::Progress;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{LineEnding, PrivateKey};
use tempfile::TempDir;

pub struct Site {
    dir: TempDir,
    pub contents: Contents,
}

pub fn jobs(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

/// Bytes that no compressor makes smaller, the same at every run.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
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

/// Bytes as programs have them: alike among the versions, and half of them compressible.
pub fn program(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = noise(7, len / 2);
    let own = format!("symbol table of program {seed}\n");
    bytes.extend(own.repeat(len / own.len() + 1).as_bytes());
    bytes.truncate(len);
    bytes
}

fn key() -> PrivateKey {
    key_of(7)
}

fn key_of(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn pair(seed: u8) -> (Signer, String) {
    let key = key_of(seed);
    let signer = Signer::from_openssh_key(&key.to_openssh(LineEnding::LF).unwrap(), None);
    (signer.unwrap(), key.public_key().to_openssh().unwrap())
}

/// Of somebody else.
pub fn second() -> (Signer, String) {
    pair(8)
}

/// Of yet another.
pub fn third() -> (Signer, String) {
    pair(9)
}

/// A key that is the same at every run.
pub fn signer() -> Signer {
    Signer::from_openssh_key(&key().to_openssh(LineEnding::LF).unwrap(), None).unwrap()
}

/// What others know of that.
pub fn public_key() -> String {
    key().public_key().to_openssh().unwrap()
}

impl Site {
    pub fn empty() -> Self {
        let contents = Contents {
            arches: vec![Arch::Amd64],
            ..Contents::new("demo", "0.1.0")
        };
        Self {
            dir: TempDir::new().unwrap(),
            contents,
        }
    }

    /// Few bytes, many cases.
    pub fn small() -> Self {
        let mut site = Self::empty();
        site.add("config.yaml", 0o644, b"apiVersion: kubexm.io/v1\n");
        site.add("empty", 0o755, b"");
        site.add("images/index.json", 0o644, b"{}");
        let long = format!("deep/{}/{}", "c".repeat(90), "d".repeat(90));
        site.add(&long, 0o644, b"a long way down");
        site.add("tools/block", 0o755, &[b'x'; 512]);
        site.sort();
        site
    }

    /// Frames of every method, members that span frames, and members that share one.
    pub fn large() -> Self {
        let mut site = Self::small();
        for (seed, name) in ["kubeadm", "kubectl", "kubelet"].iter().enumerate() {
            site.add_program(name, &program(seed as u64, 3 << 20));
        }
        let gzip: Vec<u8> = [0x1f, 0x8b].into_iter().chain(noise(1, 9 << 20)).collect();
        site.add("images/blobs/sha256/aa", 0o644, &gzip);
        site.add("images/blobs/sha256/ab", 0o644, &gzip[..100_000]);
        site.add(
            "images/blobs/sha256/ac",
            0o644,
            br#"{"architecture":"amd64"}"#,
        );
        site.add("packages/all.txt", 0o644, &program(9, 10 << 20));
        site.sort();
        site
    }

    /// A frame of each method in few bytes.
    pub fn medium() -> Self {
        let mut site = Self::small();
        for (seed, name) in ["kubeadm", "kubectl"].iter().enumerate() {
            site.add_program(name, &program(seed as u64, 70_000));
        }
        let gzip: Vec<u8> = [0x1f, 0x8b].into_iter().chain(noise(1, 100_000)).collect();
        site.add("images/blobs/sha256/aa", 0o644, &gzip);
        site.add("packages/all.txt", 0o644, &program(9, 80_000));
        site.sort();
        site
    }

    /// A program of Kubernetes, which shares its frame with the others.
    pub fn add_program(&mut self, name: &str, content: &[u8]) {
        self.add(&format!("kubernetes/v1.34.2/amd64/{name}"), 0o755, content);
        let file = self.contents.files.last_mut().unwrap();
        file.component = Some("kubernetes".into());
        file.arch = Some(Arch::Amd64);
    }

    pub fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        let full = self.tree().path(path.into());
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(&full, content).unwrap();
        std::fs::set_permissions(&full, PermissionsExt::from_mode(mode)).unwrap();
        let entry = FileEntry::new(path, content.len() as u64, mode, Sha256::of(content));
        self.contents.files.push(entry);
    }

    pub fn sort(&mut self) {
        self.contents.files.sort_by(|a, b| a.path.cmp(&b.path));
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).unwrap().join(name)
    }

    pub fn tree(&self) -> Tree {
        Tree::at(self.path("tree"))
    }

    pub fn pack_as(
        &self,
        name: &str,
        threads: usize,
        signer: Option<&Signer>,
    ) -> Result<Packed, PackError> {
        self.pack_since(name, threads, signer, None)
    }

    /// Packs a delta for whoever has this.
    pub fn delta(&self, base: &Base) -> Utf8PathBuf {
        self.pack_since("delta.tar.zst", 2, None, Some(base))
            .unwrap();
        self.path("delta.tar.zst")
    }

    fn pack_since(
        &self,
        name: &str,
        threads: usize,
        signer: Option<&Signer>,
        since: Option<&Base>,
    ) -> Result<Packed, PackError> {
        pack(&Packing {
            tree: &self.tree(),
            contents: &self.contents,
            output: &self.path(name),
            since,
            signer,
            jobs: jobs(threads),
            progress: &Progress::unseen(),
            cancel: &Cancel::default(),
        })
    }

    /// Packs and gives the path of the bundle.
    pub fn packed(&self) -> Utf8PathBuf {
        self.pack_as("bundle.tar.zst", 2, None).unwrap();
        self.path("bundle.tar.zst")
    }
}

pub fn verify(path: &Utf8Path) -> Result<(), BundleError> {
    Bundle::open(path)?.verify(jobs(2), &Progress::unseen(), &Cancel::default())
}

pub fn unpack(path: &Utf8Path, dest: &Tree) -> Result<Unpacked, BundleError> {
    Bundle::open(path)?.unpack(dest, jobs(2), &Progress::unseen(), &Cancel::default())
}

/// Whether the tree holds exactly what the contents list, and everything of it.
pub fn assert_holds(tree: &Tree, contents: &Contents) {
    for file in &contents.files {
        let path = tree.path(&file.path);
        let content = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(Sha256::of(&content), file.sha256, "{path}");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, file.mode, "{path}");
    }
    let mut expected: Vec<String> = contents
        .files
        .iter()
        .map(|file| file.path.to_string())
        .collect();
    expected.push("bundle.json".into());
    let mut found = files_below(tree.root());
    found.retain(|path| path != "bundle.json.sig");
    expected.sort();
    assert_eq!(found, expected);
}

/// Whether nothing bad came of unpacking a bundle that was refused: no file but listed ones with their content, and
/// no `bundle.json`. What was begun is noted all the same.
pub fn assert_nothing_bad(tree: &Tree, contents: &Contents) {
    for path in unpacked_below(tree) {
        let file = contents.file(path.as_str().into());
        let file = file.unwrap_or_else(|| panic!("{path} should not be there"));
        let content = std::fs::read(tree.path(&file.path)).unwrap();
        assert_eq!(Sha256::of(&content), file.sha256, "{path}");
    }
}

/// All but the list of what is being unpacked.
pub fn unpacked_below(tree: &Tree) -> Vec<String> {
    let mut found = files_below(tree.root());
    found.retain(|path| path != ".bundle.json.next.part");
    found
}

pub fn files_below(root: &Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir_utf8() else {
            continue;
        };
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path().to_owned());
            } else {
                found.push(entry.path().strip_prefix(root).unwrap().to_string());
            }
        }
    }
    found.sort();
    found
}
