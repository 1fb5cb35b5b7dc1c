//! Images as a cluster's: an index for two architectures each, a few layers that all share, and layers of their own.

use std::fs;
use std::io::Write;

use anyhow::Result;
use artifact::{ImageEntry, PlatformEntry, Sha256, Tree};
use camino::Utf8PathBuf;
use cluster::Arch;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::data::noise;

/// References, and how their sizes compare.
const IMAGES: [(&str, u64); 10] = [
    ("docker.io/calico/cni:v3.31.2", 30),
    ("docker.io/calico/kube-controllers:v3.31.2", 18),
    ("docker.io/calico/node:v3.31.2", 42),
    ("registry.k8s.io/coredns/coredns:v1.12.1", 8),
    ("registry.k8s.io/etcd:3.5.24-0", 20),
    ("registry.k8s.io/kube-apiserver:v1.34.2", 25),
    ("registry.k8s.io/kube-controller-manager:v1.34.2", 21),
    ("registry.k8s.io/kube-proxy:v1.34.2", 25),
    ("registry.k8s.io/kube-scheduler:v1.34.2", 16),
    ("registry.k8s.io/pause:3.10", 1),
];
const ARCHES: [Arch; 2] = [Arch::Amd64, Arch::Arm64];
/// Layers that all images of an architecture begin with.
const BASE: [usize; 2] = [100 << 10, 4 << 20];
/// Below this, the base would be most of it.
pub const MIN: u64 = 64_000_000;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Fills the tree's layout with images of this many bytes.
pub fn make(tree: &Tree, bytes: u64) -> Result<Vec<ImageEntry>> {
    let mut layout = Layout {
        dir: tree.images(),
        seed: 0,
    };
    fs::create_dir_all(layout.dir.join("blobs/sha256"))?;
    fs::write(
        layout.dir.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    let shared: usize = BASE.iter().sum();
    let own = usize::try_from(bytes)? / ARCHES.len() - shared;
    let weights: u64 = IMAGES.iter().map(|(_, weight)| weight).sum();
    let unit = own / usize::try_from(weights)?;

    let bases = ARCHES.map(|_| BASE.map(|size| layout.layer(size)));
    let bases = bases.map(|base| base.into_iter().collect::<Result<Vec<_>>>());
    let bases = bases.into_iter().collect::<Result<Vec<_>>>()?;
    let mut entries = Vec::new();
    let mut roots = Vec::new();
    for (reference, weight) in IMAGES {
        let size = unit * usize::try_from(weight)?;
        let mut platforms = Vec::new();
        let mut manifests = Vec::new();
        for (arch, base) in ARCHES.iter().zip(&bases) {
            // A large layer and a small one, as builds leave them.
            let mut layers = base.clone();
            layers.push(layout.layer(size / 8 * 7)?);
            layers.push(layout.layer(size / 8)?);
            let (manifest, size) = layout.manifest(*arch, &layers)?;
            platforms.push(PlatformEntry {
                arch: *arch,
                digest: manifest.digest,
                size,
            });
            manifests.push(manifest.descriptor);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        let mut root = layout.json(INDEX, &index)?;
        root.descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": reference });
        roots.push(root.descriptor);
        entries.push(ImageEntry {
            platforms,
            wanted_by: vec!["the benchmark".to_owned()],
            ..ImageEntry::new(reference, root.digest)
        });
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": roots });
    fs::write(layout.dir.join("index.json"), serde_json::to_vec(&index)?)?;
    Ok(entries)
}

struct Layout {
    dir: Utf8PathBuf,
    seed: u64,
}

/// Something in the layout, and how others name it.
#[derive(Clone)]
struct Part {
    digest: Sha256,
    size: u64,
    descriptor: Value,
}

#[derive(Clone)]
struct Layer {
    part: Part,
    /// The digest before compression.
    diff: Sha256,
}

impl Layout {
    /// A tar with one file in gzip. The file is noise, so that compressing it takes no time and changes no size.
    fn layer(&mut self, size: usize) -> Result<Layer> {
        self.seed += 1;
        let content = noise(self.seed, size);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_data(
            &mut header,
            format!("file-{}", self.seed),
            content.as_slice(),
        )?;
        let tar = tar.into_inner()?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&tar)?;
        Ok(Layer {
            part: self.part(LAYER, &gzip.finish()?)?,
            diff: Sha256::of(&tar),
        })
    }

    /// An image's manifest, and the size of all it names.
    fn manifest(&self, arch: Arch, layers: &[Layer]) -> Result<(Part, u64)> {
        let diffs: Vec<_> = layers.iter().map(|layer| layer.diff.oci()).collect();
        let config = json!({
            "architecture": arch.to_string(), "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diffs },
        });
        let config = self.json(CONFIG, &config)?;
        let descriptors: Vec<_> = layers.iter().map(|layer| &layer.part.descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": config.descriptor, "layers": descriptors,
        });
        let mut part = self.json(MANIFEST, &manifest)?;
        part.descriptor["platform"] = json!({ "architecture": arch.to_string(), "os": "linux" });
        let sizes = layers.iter().map(|layer| layer.part.size);
        Ok((part, sizes.sum::<u64>() + config.size))
    }

    fn json(&self, media_type: &str, value: &Value) -> Result<Part> {
        self.part(media_type, &serde_json::to_vec(value)?)
    }

    fn part(&self, media_type: &str, bytes: &[u8]) -> Result<Part> {
        let digest = Sha256::of(bytes);
        let path = self.dir.join("blobs/sha256").join(digest.to_string());
        fs::write(path, bytes)?;
        let size = bytes.len() as u64;
        let descriptor = json!({ "mediaType": media_type, "digest": digest.oci(), "size": size });
        Ok(Part {
            digest,
            size,
            descriptor,
        })
    }
}
