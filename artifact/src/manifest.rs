use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use serde::{Deserialize, Serialize};

use crate::{PackageSet, Sha256};

/// The version of the bundle format that this kubexm writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// `bundle.json`: names every byte of a bundle. The first member of the artifact, and the only one that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// `metadata.name` of the config.
    pub cluster: String,
    /// The version of kubexm that made the bundle.
    pub kubexm: String,
    pub arches: Vec<Arch>,
    /// Sorted by path, name by name (`a/b` before `a-b`).
    pub files: Vec<FileEntry>,
    /// Sorted by reference.
    pub images: Vec<ImageEntry>,
    /// Packages of operating systems. Sorted by system and architecture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub systems: Vec<PackageSet>,
}

/// A regular file of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Relative to the tree, e.g. `etcd/v3.5.24/amd64/etcd-v3.5.24-linux-amd64.tar.gz`.
    pub path: Utf8PathBuf,
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    pub sha256: Sha256,
    /// The catalogue's name of what this file belongs to; none for the tree's own files (`config.yaml`, image blobs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    /// The upstream address it was fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where its checksum was published; none where upstream publishes none and the first bundle recorded what it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum_from: Option<String>,
    /// The programs it carries: itself, or members of the archive it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
}

impl FileEntry {
    /// A file of the tree's own, which belongs to no component.
    #[must_use]
    pub fn new(path: impl Into<Utf8PathBuf>, size: u64, mode: u32, sha256: Sha256) -> Self {
        Self {
            path: path.into(),
            size,
            mode,
            sha256,
            component: None,
            version: None,
            arch: None,
            origin: None,
            checksum_from: None,
            programs: Vec::new(),
        }
    }
}

/// An executable that can be put onto a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The name it is installed under, e.g. `etcdctl`.
    pub name: String,
    /// Its path inside the archive; none if the file is the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    pub size: u64,
    pub sha256: Sha256,
}

/// An image of the tree's OCI layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageEntry {
    /// As the world names it, with registry host and tag or digest: `registry.k8s.io/pause:3.10`.
    pub reference: String,
    /// The digest of the manifest or index in the layout.
    pub digest: Sha256,
    pub platforms: Vec<PlatformEntry>,
    /// Who asks for it, e.g. `kubernetes v1.34.2` or `spec.images`.
    pub wanted_by: Vec<String>,
}

/// The image for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformEntry {
    pub arch: Arch,
    /// The digest of the image manifest.
    pub digest: Sha256,
    /// All layers and the config, as stored.
    pub size: u64,
}

/// A program together with the file that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFile<'a> {
    pub program: &'a Program,
    pub file: &'a FileEntry,
}

impl Manifest {
    /// Of a cluster alone, where what was bundled for it is not known.
    #[must_use]
    pub fn of_nothing(cluster: &str) -> Self {
        Self {
            format: FORMAT,
            cluster: cluster.to_owned(),
            kubexm: env!("CARGO_PKG_VERSION").to_owned(),
            arches: Vec::new(),
            files: Vec::new(),
            images: Vec::new(),
            systems: Vec::new(),
        }
    }

    /// `bundle.json` as it is written: JSON that people can read as well.
    #[must_use]
    #[allow(clippy::missing_panics_doc)] // never: there is no map key or number in it that JSON lacks
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn content_size(&self) -> u64 {
        self.files
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.size))
    }

    #[must_use]
    pub fn file(&self, path: &Utf8Path) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The files of a component for an architecture.
    pub fn files_of<'a>(
        &'a self,
        component: &'a str,
        arch: Arch,
    ) -> impl Iterator<Item = &'a FileEntry> {
        self.files.iter().filter(move |file| {
            file.component.as_deref() == Some(component) && file.arch.is_none_or(|a| a == arch)
        })
    }

    /// The version of a component that the bundle holds.
    #[must_use]
    pub fn version_of(&self, component: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.component.as_deref() == Some(component))
            .and_then(|file| file.version.as_deref())
    }

    /// Every program of a component for an architecture.
    pub fn programs_of<'a>(
        &'a self,
        component: &'a str,
        arch: Arch,
    ) -> impl Iterator<Item = ProgramFile<'a>> {
        self.files_of(component, arch).flat_map(|file| {
            file.programs
                .iter()
                .map(move |program| ProgramFile { program, file })
        })
    }
}
