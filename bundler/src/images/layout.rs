//! The OCI image layout of the tree: `oci-layout`, `index.json`, `blobs/sha256/…`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use artifact::Sha256;
use camino::{Utf8Path, Utf8PathBuf};
use oci_client::manifest::{ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageIndex};

use super::ImageError;
use super::document::{Blob, manifest_of, parts_of, sha256};
use crate::fetch::FetchError;

/// The reference, as skopeo and podman look for it.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The reference, as containerd imports it.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// What the registry served, where the index was cut down to the platforms wanted.
const UPSTREAM: &str = "dev.kubexm.upstream.digest";

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    dir: Utf8PathBuf,
    /// Two images may bring the same manifest at the same time, and its temporary name is one.
    writing: Arc<Mutex<()>>,
}

/// An image of the layout, as `index.json` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) reference: String,
    pub(crate) upstream: Sha256,
    pub(crate) media_type: String,
    pub(crate) manifest: Blob,
}

/// What [`prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub files: u64,
    pub bytes: u64,
}

impl Layout {
    pub(crate) fn at(dir: &Utf8Path) -> Self {
        Self {
            dir: dir.to_owned(),
            writing: Arc::default(),
        }
    }

    fn blobs(&self) -> Utf8PathBuf {
        self.dir.join("blobs/sha256")
    }

    pub(crate) fn blob(&self, digest: &Sha256) -> Utf8PathBuf {
        self.blobs().join(digest.to_string())
    }

    pub(crate) fn create(&self) -> Result<(), FetchError> {
        let blobs = self.blobs();
        std::fs::create_dir_all(&blobs).map_err(|e| FetchError::io("create", &blobs, &e))
    }

    /// Whether a blob of this size is there. What is inside is checked when it is used.
    pub(crate) fn holds(&self, blob: &Blob) -> bool {
        std::fs::metadata(self.blob(&blob.digest)).is_ok_and(|meta| meta.len() == blob.size)
    }

    /// A small blob, if it is there and undamaged.
    pub(crate) fn read(&self, digest: &Sha256) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.blob(digest)).ok()?;
        (Sha256::of(&bytes) == *digest).then_some(bytes)
    }

    /// Stores a small blob under its digest.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), FetchError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&self.blob(&Sha256::of(bytes)), bytes)
    }

    /// The images it held when it was last finished. None is named where that cannot be read.
    pub(crate) fn images(&self) -> BTreeMap<String, Named> {
        let Some(index) = self.index() else {
            return BTreeMap::new();
        };
        let named = index.manifests.iter().filter_map(named);
        named
            .map(|image| (image.reference.clone(), image))
            .collect()
    }

    fn index(&self) -> Option<OciImageIndex> {
        serde_json::from_slice(&std::fs::read(self.dir.join("index.json")).ok()?).ok()
    }

    /// Names these images, and no others.
    pub(crate) fn finish(&self, images: &BTreeMap<String, Named>) -> Result<(), FetchError> {
        let index = OciImageIndex {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
            artifact_type: None,
            annotations: None,
            manifests: images.values().map(entry).collect(),
        };
        let text = serde_json::to_vec_pretty(&index).expect("strings and numbers are always JSON");
        replace(
            &self.dir.join("oci-layout"),
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        replace(&self.dir.join("index.json"), &text)
    }

    /// Every blob that `index.json` leads to.
    fn reachable(&self) -> Result<BTreeSet<Sha256>, ImageError> {
        let mut reachable = BTreeSet::new();
        let images = self.images();
        let mut manifests: Vec<Sha256> =
            images.values().map(|image| image.manifest.digest).collect();
        while let Some(digest) = manifests.pop() {
            if !reachable.insert(digest) {
                continue;
            }
            let Some(bytes) = self.read(&digest) else {
                continue;
            };
            let parts = parts_of(bytes)?;
            manifests.extend(parts.manifests.iter().map(|blob| blob.digest));
            reachable.extend(parts.blobs.iter().map(|blob| blob.digest));
        }
        // An index of upstream's is kept for itself; not all that it leads to is here.
        reachable.extend(images.values().map(|image| image.upstream));
        Ok(reachable)
    }
}

/// Removes what no image of the layout's `index.json` leads to, and what is left of interrupted copies.
pub fn prune(layout: &Utf8Path) -> Result<Pruned, ImageError> {
    let layout = Layout::at(layout);
    let blobs = layout.blobs();
    let keep = layout.reachable()?;
    let mut pruned = Pruned::default();
    let failed = |e: io::Error| FetchError::io("remove what is no longer needed in", &blobs, &e);
    let entries = match blobs.read_dir_utf8() {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(pruned),
        Err(e) => return Err(failed(e).into()),
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry
            .file_name()
            .parse()
            .is_ok_and(|digest| keep.contains(&digest))
        {
            continue;
        }
        pruned.files += 1;
        pruned.bytes += entry.metadata().map_err(failed)?.len();
        std::fs::remove_file(entry.path()).map_err(failed)?;
    }
    Ok(pruned)
}

fn entry(image: &Named) -> ImageIndexEntry {
    ImageIndexEntry {
        media_type: image.media_type.clone(),
        digest: image.manifest.digest.oci(),
        size: i64::try_from(image.manifest.size).unwrap_or(i64::MAX),
        platform: None,
        artifact_type: None,
        annotations: Some(BTreeMap::from([
            (REF_NAME.to_owned(), image.reference.clone()),
            (IMAGE_NAME.to_owned(), image.reference.clone()),
            (UPSTREAM.to_owned(), image.upstream.oci()),
        ])),
    }
}

fn named(entry: &ImageIndexEntry) -> Option<Named> {
    let annotations = entry.annotations.as_ref()?;
    Some(Named {
        reference: annotations.get(IMAGE_NAME)?.clone(),
        upstream: sha256(annotations.get(UPSTREAM)?).ok()?,
        media_type: entry.media_type.clone(),
        manifest: manifest_of(entry).ok()?,
    })
}

/// Writes beside and renames, so that a file is there whole or not at all.
fn replace(path: &Utf8Path, bytes: &[u8]) -> Result<(), FetchError> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let failed = |e: io::Error| FetchError::io("write", path, &e);
    artifact::replace(path, 0o644, |file| file.write_all(bytes)).map_err(failed)
}
