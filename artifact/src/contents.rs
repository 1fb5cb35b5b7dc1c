use camino::{Utf8Path, Utf8PathBuf};
use cluster::{Arch, Version};
use serde::{Deserialize, Serialize};

use crate::{PackageSet, Release, Sha256};

mod check;
mod read;

pub use read::ContentsError;
pub(crate) use read::{Clean, HEAD_MAX};

/// The version of the bundle format that this kubexm writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// `bundle.json`: names every byte of a bundle. The first member of the artifact, and the only one that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    pub format: u32,
    /// What a reader must know besides this format. One that does not know a word of it reads no further.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Grows with each change of the lock file that the bundle was made by: of two bundles by the same file, the one with the
    /// lower number is older.
    #[serde(default)]
    pub serial: u64,
    /// What the bundle is called: `metadata.name` of the config, where there is one.
    pub cluster: String,
    /// The version of kubexm that made the bundle.
    pub kubexm: String,
    pub arches: Vec<Arch>,
    /// What goes together, by version of Kubernetes. Sorted.
    pub releases: Vec<Release>,
    /// Sorted by cluster.
    #[serde(default)]
    pub configs: Vec<ConfigEntry>,
    /// Sorted by path, name by name (`a/b` before `a-b`).
    pub files: Vec<FileEntry>,
    /// Sorted by reference.
    pub images: Vec<ImageEntry>,
    /// Packages of operating systems. Sorted by system and architecture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub systems: Vec<PackageSet>,
    /// Sorted by name and version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ChartEntry>,
    /// Sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentEntry>,
}

/// The config of a cluster that the bundle was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEntry {
    pub cluster: String,
    pub path: Utf8PathBuf,
    pub sha256: Sha256,
}

/// A Helm chart, below `charts/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChartEntry {
    pub name: String,
    pub version: String,
    pub path: Utf8PathBuf,
    /// References of the images that it needs.
    #[serde(default)]
    pub images: Vec<String>,
}

/// A document about something in the bundle, below `attachments/`, `sbom/` or `signatures/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentEntry {
    pub path: Utf8PathBuf,
    pub media_type: String,
    /// A component with its version (`etcd@v3.6.8`), a reference, or a digest.
    pub about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A regular file of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Relative to the tree, e.g. `etcd/v3.5.24/amd64/etcd-v3.5.24-linux-amd64.tar.gz`.
    pub path: Utf8PathBuf,
    pub size: u64,
    /// 0644, or 0755 for what is run.
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
    /// Where it came from in truth, if that was a mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_from: Option<String>,
    /// Its name among all packages of the world: `pkg:deb/debian/socat@1.8.0?arch=amd64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
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
            fetched_from: None,
            purl: None,
            checksum_from: None,
            programs: Vec::new(),
        }
    }
}

/// An executable that can be put onto a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct ImageEntry {
    /// As the world names it, with registry host and tag or digest: `registry.k8s.io/pause:3.10`.
    pub reference: String,
    /// The digest of the manifest or index in the layout.
    pub digest: Sha256,
    /// The digest that upstream has for the reference, and its signatures are made over. Its bytes are a blob of the layout,
    /// where an index was cut down to the wanted platforms as well.
    pub upstream: Sha256,
    /// Sorted by architecture.
    pub platforms: Vec<PlatformEntry>,
    /// Manifests of the layout that are about this image: signatures, attestations. Sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<Sha256>,
    /// Who asks for it, in words: `kubernetes kubeadm`, `spec.images`.
    pub wanted_by: Vec<String>,
}

impl ImageEntry {
    /// As upstream has it, for nobody yet.
    #[must_use]
    pub fn new(reference: impl Into<String>, digest: Sha256) -> Self {
        Self {
            reference: reference.into(),
            digest,
            upstream: digest,
            platforms: Vec::new(),
            referrers: Vec::new(),
            wanted_by: Vec::new(),
        }
    }
}

/// The image for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl Contents {
    /// Of a bundle that holds nothing yet.
    #[must_use]
    pub fn new(cluster: impl Into<String>, kubexm: impl Into<String>) -> Self {
        Self {
            format: FORMAT,
            requires: Vec::new(),
            serial: 0,
            cluster: cluster.into(),
            kubexm: kubexm.into(),
            arches: Vec::new(),
            releases: Vec::new(),
            configs: Vec::new(),
            files: Vec::new(),
            images: Vec::new(),
            systems: Vec::new(),
            charts: Vec::new(),
            attachments: Vec::new(),
        }
    }

    /// `bundle.json` as it is written: JSON that people can read as well.
    #[must_use]
    #[allow(clippy::missing_panics_doc)] // never: there is no map key or number in it that JSON lacks
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("contents are plain data");
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

    /// The release with this Kubernetes: the one by the cluster's own config, or else the only one.
    #[must_use]
    pub fn release(&self, kubernetes: &Version, cluster: &str) -> Option<&Release> {
        let releases = self.releases.iter();
        let mut with = releases.filter(|release| release.kubernetes == *kubernetes);
        let (first, others) = (with.next()?, with.collect::<Vec<_>>());
        if others.is_empty() {
            return Some(first);
        }
        let config = self.config_of(cluster)?;
        let mut all = others.into_iter().chain([first]);
        all.find(|release| release.config.as_ref() == Some(&config.path))
    }

    /// The config of a cluster.
    #[must_use]
    pub fn config_of(&self, cluster: &str) -> Option<&ConfigEntry> {
        self.configs.iter().find(|config| config.cluster == cluster)
    }

    /// Whether the bundle was made for a cluster of this name.
    #[must_use]
    pub fn is_for(&self, cluster: &str) -> bool {
        self.cluster == cluster || self.config_of(cluster).is_some()
    }

    /// Whether an image is there for an architecture.
    #[must_use]
    pub fn has_image(&self, reference: &str, arch: Arch) -> bool {
        self.images.iter().any(|image| {
            image.reference == reference
                && image.platforms.iter().any(|platform| platform.arch == arch)
        })
    }

    /// The files of a component in a release, of every architecture.
    pub fn files_in<'a>(
        &'a self,
        release: &'a Release,
        component: &'a str,
    ) -> impl Iterator<Item = &'a FileEntry> {
        let version = release.version_of(component);
        self.files.iter().filter(move |file| {
            version.is_some()
                && file.component.as_deref() == Some(component)
                && file.version.as_deref() == version
        })
    }

    /// The files of a component in a release for an architecture.
    pub fn files_of<'a>(
        &'a self,
        release: &'a Release,
        component: &'a str,
        arch: Arch,
    ) -> impl Iterator<Item = &'a FileEntry> {
        let files = self.files_in(release, component);
        files.filter(move |file| file.arch.is_none_or(|a| a == arch))
    }

    /// Every program of a component in a release for an architecture.
    pub fn programs_of<'a>(
        &'a self,
        release: &'a Release,
        component: &'a str,
        arch: Arch,
    ) -> impl Iterator<Item = ProgramFile<'a>> {
        self.files_of(release, component, arch).flat_map(|file| {
            file.programs
                .iter()
                .map(move |program| ProgramFile { program, file })
        })
    }
}
