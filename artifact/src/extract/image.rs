//! An image as an OCI layout of its own: the blobs that it leads to, and the two documents that name it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Extract, ExtractError, Shape, elsewhere};
use crate::bundle::IMAGE_BLOBS;
use crate::{Bundle, Cancel, FileEntry, ImageEntry, Sha256, repository};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
/// An index or manifest is read whole; nobody's is near this size.
const DOCUMENT_MAX: u64 = 8 << 20;
/// An index leads to manifests, and no further.
const DEPTH_MAX: usize = 2;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    /// Where a layer may be had that no registry holds.
    #[serde(default)]
    urls: Vec<String>,
}

pub(super) fn find<'a>(
    bundles: &'a [Bundle],
    image: &'a ImageEntry,
    cancel: &Cancel,
) -> Result<Extract<'a>, ExtractError> {
    let mut walk = Walk {
        bundles,
        image,
        blobs: BTreeMap::new(),
        cancel,
    };
    let (root, size) = walk.document(image.digest, 1)?;
    let index = index(image, root.media_type(), size);
    let layout = br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec();
    let last = repository(&image.reference).rsplit('/').next();
    Ok(Extract {
        bundles,
        files: walk
            .blobs
            .into_iter()
            .map(|(digest, file)| (file, format!("blobs/sha256/{digest}").into()))
            .collect(),
        documents: vec![
            ("oci-layout", layout),
            ("index.json", index.to_string().into_bytes()),
        ],
        shape: Shape::Folder {
            name: last.unwrap_or_default().to_owned(),
        },
    })
}

/// The layout's only entry, by both names that tools look for.
fn index(image: &ImageEntry, media_type: &str, size: u64) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": media_type,
            "digest": image.digest.oci(),
            "size": size,
            "annotations": { IMAGE_NAME: image.reference, REF_NAME: image.reference },
        }],
    })
}

impl Document {
    /// Of the OCI it may be left out.
    fn media_type(&self) -> &str {
        match &self.media_type {
            Some(media_type) => media_type,
            None if self.config.is_none() => "application/vnd.oci.image.index.v1+json",
            None => "application/vnd.oci.image.manifest.v1+json",
        }
    }
}

struct Walk<'a, 'b> {
    bundles: &'a [Bundle],
    image: &'a ImageEntry,
    blobs: BTreeMap<Sha256, &'a FileEntry>,
    cancel: &'b Cancel,
}

impl<'a> Walk<'a, '_> {
    fn document(&mut self, digest: Sha256, depth: usize) -> Result<(Document, u64), ExtractError> {
        let file = self.blob(digest)?;
        let bytes = self.read(file)?;
        let document: Document = serde_json::from_slice(&bytes)
            .map_err(|error| self.wrong(format!("{} cannot be understood: {error}", file.path)))?;
        let layers = document.layers.iter().filter(|layer| layer.urls.is_empty());
        for part in document.config.iter().chain(layers) {
            let digest = self.digest(part)?;
            self.blob(digest)?;
        }
        for manifest in &document.manifests {
            let digest = self.digest(manifest)?;
            if depth == DEPTH_MAX {
                return Err(self.wrong("an index inside an index"));
            }
            if !self.blobs.contains_key(&digest) {
                self.document(digest, depth + 1)?;
            }
        }
        Ok((document, file.size))
    }

    fn blob(&mut self, digest: Sha256) -> Result<&'a FileEntry, ExtractError> {
        let contents = self.bundles[0].contents();
        let file = contents.file(format!("{IMAGE_BLOBS}{digest}").as_str().into());
        let file = file.ok_or_else(|| self.wrong(format!("blob {} is not there", digest.oci())))?;
        self.blobs.insert(digest, file);
        Ok(file)
    }

    fn read(&self, file: &FileEntry) -> Result<Vec<u8>, ExtractError> {
        for bundle in self.bundles {
            if let Some(bytes) = bundle.read(&file.path, DOCUMENT_MAX, self.cancel)? {
                return Ok(bytes);
            }
        }
        Err(elsewhere(self.bundles, file))
    }

    fn digest(&self, part: &Descriptor) -> Result<Sha256, ExtractError> {
        let digest = part.digest.strip_prefix("sha256:");
        let digest = digest.and_then(|digest| digest.parse().ok());
        digest.ok_or_else(|| self.wrong(format!("{:?} is no SHA-256", part.digest)))
    }

    fn wrong(&self, why: impl Into<String>) -> ExtractError {
        ExtractError::Image {
            path: self.bundles[0].path().to_owned(),
            reference: self.image.reference.clone(),
            why: why.into(),
        }
    }
}
