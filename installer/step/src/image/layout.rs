//! Reading the tree's one OCI image layout.

use std::fs::{self, File};
use std::io::{self, Read};

use artifact::Sha256;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use engine::StepError;
use oci_spec::image::Descriptor;
use serde::Deserialize;

/// No manifest is larger; registries refuse what is.
pub(crate) const MANIFEST_LIMIT: u64 = 4 << 20;
/// An index of indexes is rare already.
const DEPTH_LIMIT: usize = 4;
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Everything an image is made of.
#[derive(Debug)]
pub(crate) struct Image {
    /// Children before what names them; the image's own manifest or index is the last.
    pub manifests: Vec<Manifest>,
    /// Layers and configs as the manifests name them, one by one.
    pub blobs: Vec<Blob>,
}

/// A manifest or an index, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub digest: Sha256,
    pub media_type: String,
    pub bytes: Bytes,
}

/// A layer or a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob {
    pub digest: Sha256,
    pub size: u64,
}

/// The layout does not hold what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("{reference}: {path} is missing from the tree")]
    Missing {
        reference: String,
        path: Utf8PathBuf,
    },
    #[error("{reference}: {path} is damaged: {why}")]
    Damaged {
        reference: String,
        path: Utf8PathBuf,
        why: String,
    },
    #[error("{reference}: cannot read {path}: {why}")]
    Read {
        reference: String,
        path: Utf8PathBuf,
        why: io::Error,
    },
}

impl LayoutError {
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { .. } | Self::Damaged { .. } => Some(
                "the tree has changed since it was unpacked: remove that file and run `install` with the bundle again"
                    .to_owned(),
            ),
            Self::Read { .. } => None,
        }
    }
}

impl From<LayoutError> for StepError {
    fn from(error: LayoutError) -> Self {
        let step = Self::new(error.to_string());
        match error.hint() {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}

/// Where a blob lies in a layout.
pub(crate) fn blob_path(layout: &Utf8Path, digest: Sha256) -> Utf8PathBuf {
    layout.join("blobs/sha256").join(digest.to_string())
}

/// Reads the manifests of an image and finds all it names. Every blob is there with its size, or that is an error.
pub(crate) fn read_image(
    layout: &Utf8Path,
    reference: &str,
    digest: Sha256,
) -> Result<Image, LayoutError> {
    let mut image = Image {
        manifests: Vec::new(),
        blobs: Vec::new(),
    };
    Reader { layout, reference }.descend(digest, DEPTH_LIMIT, &mut image)?;
    Ok(image)
}

/// Index and manifest at once: each has fields the other lacks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// What a manifest or an index names.
pub(crate) struct Named {
    pub media_type: String,
    pub manifests: Vec<Sha256>,
    pub blobs: Vec<Blob>,
}

/// Reads what a manifest or an index names; or why it is none.
pub(crate) fn named(bytes: &[u8]) -> Result<Named, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let digest = |descriptor: &Descriptor| {
        let digest = descriptor.digest().to_string();
        digest
            .parse::<Sha256>()
            .map_err(|_| format!("it names {digest}, no SHA-256"))
    };
    let blob = |descriptor: &Descriptor| {
        Ok::<_, String>(Blob {
            digest: digest(descriptor)?,
            size: descriptor.size(),
        })
    };
    let implied = if document.config.is_some() {
        OCI_MANIFEST
    } else {
        OCI_INDEX
    };
    let blobs = document.config.iter().chain(&document.layers);
    Ok(Named {
        manifests: document
            .manifests
            .iter()
            .map(digest)
            .collect::<Result<_, _>>()?,
        blobs: blobs.map(blob).collect::<Result<_, _>>()?,
        media_type: document.media_type.unwrap_or_else(|| implied.to_owned()),
    })
}

struct Reader<'a> {
    layout: &'a Utf8Path,
    reference: &'a str,
}

impl Reader<'_> {
    fn descend(&self, digest: Sha256, depth: usize, image: &mut Image) -> Result<(), LayoutError> {
        if image.manifests.iter().any(|known| known.digest == digest) {
            return Ok(());
        }
        let path = blob_path(self.layout, digest);
        let damaged = |why: String| self.damaged(&path, why);
        let bytes = self.manifest(&path)?;
        if Sha256::of(&bytes) != digest {
            return Err(damaged("its content has another SHA-256".to_owned()));
        }
        let named = named(&bytes).map_err(damaged)?;
        if depth == 0 {
            return Err(damaged("it lies too deep in indexes of indexes".to_owned()));
        }
        for child in named.manifests {
            self.descend(child, depth - 1, image)?;
        }
        for blob in named.blobs {
            self.insist(blob)?;
            image.blobs.push(blob);
        }
        image.manifests.push(Manifest {
            digest,
            media_type: named.media_type,
            bytes,
        });
        Ok(())
    }

    fn manifest(&self, path: &Utf8Path) -> Result<Bytes, LayoutError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes))
            .map_err(|error| self.unreadable(path, error))?;
        if bytes.len() as u64 > MANIFEST_LIMIT {
            return Err(self.damaged(path, "it is too large for a manifest".to_owned()));
        }
        Ok(bytes.into())
    }

    fn insist(&self, blob: Blob) -> Result<(), LayoutError> {
        let path = blob_path(self.layout, blob.digest);
        let size = fs::metadata(&path)
            .map_err(|error| self.unreadable(&path, error))?
            .len();
        if size == blob.size {
            Ok(())
        } else {
            Err(self.damaged(
                &path,
                format!("it has {size} bytes instead of {}", blob.size),
            ))
        }
    }

    fn damaged(&self, path: &Utf8Path, why: String) -> LayoutError {
        LayoutError::Damaged {
            reference: self.reference.to_owned(),
            path: path.to_owned(),
            why,
        }
    }

    fn unreadable(&self, path: &Utf8Path, why: io::Error) -> LayoutError {
        let (reference, path) = (self.reference.to_owned(), path.to_owned());
        if why.kind() == io::ErrorKind::NotFound {
            LayoutError::Missing { reference, path }
        } else {
            LayoutError::Read {
                reference,
                path,
                why,
            }
        }
    }
}
