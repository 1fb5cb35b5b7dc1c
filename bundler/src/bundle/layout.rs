//! The files of the OCI layout that the bundle's images are made of, and no others.

use std::collections::BTreeMap;

use artifact::{FileEntry, ImageEntry, Missing, Sha256, Tree};
use camino::Utf8PathBuf;
use cluster::Arch;

use crate::error::BundleError;
use crate::images::parts_of;

/// An index or manifest is read whole; nobody's is near this size.
const DOCUMENT_LIMIT: u64 = 8 << 20;

/// Lists every blob of the images with its size, and what is absent or cut.
pub(crate) fn blobs(tree: &Tree, images: &[ImageEntry]) -> (Vec<FileEntry>, Vec<Missing>) {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for image in images {
        for platform in &image.platforms {
            let mut walk = Walk {
                tree,
                image,
                arch: platform.arch,
                found: &mut found,
                missing: &mut missing,
            };
            walk.document(platform.digest, None);
            walk.document(image.digest, None);
            // An index that was cut down: what it leads to is not all there.
            if image.upstream != image.digest {
                walk.present(image.upstream, None);
            }
        }
    }
    let files = found
        .into_iter()
        .map(|(digest, size)| FileEntry::new(blob(digest), size, 0o644, digest))
        .collect();
    (files, missing)
}

struct Walk<'a> {
    tree: &'a Tree,
    image: &'a ImageEntry,
    arch: Arch,
    found: &'a mut BTreeMap<Sha256, u64>,
    missing: &'a mut Vec<Missing>,
}

impl Walk<'_> {
    fn document(&mut self, digest: Sha256, size: Option<u64>) {
        if self.found.contains_key(&digest) {
            return;
        }
        let Some(length) = self.present(digest, size) else {
            return;
        };
        let read = (length <= DOCUMENT_LIMIT)
            .then(|| std::fs::read(self.tree.path(&blob(digest))).ok())
            .flatten();
        let Some(parts) = read.and_then(|bytes| parts_of(bytes).ok()) else {
            return self.lacks(&format!("readable manifest {}", digest.oci()));
        };
        for manifest in parts.manifests {
            self.document(manifest.digest, Some(manifest.size));
        }
        for part in parts.blobs {
            self.present(part.digest, Some(part.size));
        }
    }

    /// The length of a blob that is there whole. Its content was verified when it came, and is again when packed.
    fn present(&mut self, digest: Sha256, size: Option<u64>) -> Option<u64> {
        let found = std::fs::metadata(self.tree.path(&blob(digest))).map(|meta| meta.len());
        match found {
            Ok(found) if size.is_none_or(|size| size == found) => {
                self.found.insert(digest, found);
                Some(found)
            }
            _ => {
                self.lacks(&format!("blob {}", digest.oci()));
                None
            }
        }
    }

    fn lacks(&mut self, what: &str) {
        self.missing.push(Missing {
            what: format!("{what} of image {}", self.image.reference),
            arch: self.arch,
            wanted_by: self.image.wanted_by.join(", "),
        });
    }
}

/// The layout's two documents, which name its images.
pub(crate) fn documents(tree: &Tree) -> Result<Vec<FileEntry>, BundleError> {
    ["oci-layout", "index.json"]
        .into_iter()
        .map(|name| {
            let path = Utf8PathBuf::from("images").join(name);
            let place = tree.path(&path);
            let bytes = std::fs::read(&place).map_err(|e| BundleError::io("read", place, &e))?;
            Ok(FileEntry::new(
                path,
                bytes.len() as u64,
                0o644,
                Sha256::of(&bytes),
            ))
        })
        .collect()
}

fn blob(digest: Sha256) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("images/blobs/sha256/{digest}"))
}
