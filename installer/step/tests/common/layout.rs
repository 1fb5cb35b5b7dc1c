//! OCI layouts made by hand.

use std::fs;

use artifact::{ImageEntry, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

pub struct Layout {
    dir: Utf8PathBuf,
}

/// A part of an image and where to find it.
#[derive(Clone)]
pub struct Part {
    pub digest: Sha256,
    pub descriptor: Value,
}

impl Layout {
    pub fn new(dir: impl Into<Utf8PathBuf>) -> Self {
        let dir = dir.into();
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { dir }
    }

    pub fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    pub fn path(&self, digest: Sha256) -> Utf8PathBuf {
        self.dir.join("blobs/sha256").join(digest.to_string())
    }

    /// A layer with one file of this many bytes; the seed makes it differ from others.
    pub fn layer(&self, seed: u64, size: usize) -> Part {
        let mut bytes = Vec::with_capacity(size);
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while bytes.len() < size {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            bytes.extend_from_slice(&state.to_be_bytes());
        }
        bytes.truncate(size);
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(size as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("file-{seed}"), bytes.as_slice())
            .unwrap();
        self.part(
            "application/vnd.oci.image.layer.v1.tar",
            &tar.into_inner().unwrap(),
        )
    }

    pub fn manifest(&self, arch: &str, layers: &[&Part]) -> Part {
        let diffs: Vec<_> = layers.iter().map(|layer| layer.digest.oci()).collect();
        let config = json!({
            "architecture": arch, "os": "linux", "config": {},
            "rootfs": { "type": "layers", "diff_ids": diffs },
        });
        let config = self.json("application/vnd.oci.image.config.v1+json", &config);
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| layer.descriptor.clone())
            .collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type,
            "config": config.descriptor, "layers": layers,
        });
        let mut part = self.json(media_type, &manifest);
        part.descriptor["platform"] = json!({ "architecture": arch, "os": "linux" });
        part
    }

    pub fn index(&self, manifests: &[&Part]) -> Part {
        let manifests: Vec<_> = manifests
            .iter()
            .map(|part| part.descriptor.clone())
            .collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        self.json(media_type, &index)
    }

    fn json(&self, media_type: &str, value: &Value) -> Part {
        self.part(media_type, &serde_json::to_vec(value).unwrap())
    }

    fn part(&self, media_type: &str, bytes: &[u8]) -> Part {
        let digest = Sha256::of(bytes);
        fs::write(self.path(digest), bytes).unwrap();
        let descriptor =
            json!({ "mediaType": media_type, "digest": digest.oci(), "size": bytes.len() });
        Part { digest, descriptor }
    }
}

/// The image as `bundle.json` names it.
pub fn entry(reference: &str, root: &Part) -> ImageEntry {
    ImageEntry {
        wanted_by: vec!["a test".to_owned()],
        ..ImageEntry::new(reference, root.digest)
    }
}

/// Two images of different registries, with a layer in common.
pub fn two_images(layout: &Layout) -> Vec<ImageEntry> {
    let base = layout.layer(1, 100_000);
    let image = |seed: u64| layout.manifest("amd64", &[&base, &layout.layer(seed, 1000)]);
    vec![
        entry("registry.k8s.io/pause:3.10", &image(2)),
        entry("docker.io/library/nginx:1.29", &image(3)),
    ]
}
