//! `bundle.json` as it is read, be it from a bundle or from a tree: within bounds, in a format that is known, and held to
//! the rules of the listing.

use std::io::{self, Read};

use camino::Utf8Path;
use serde::Deserialize;

use crate::bundle::error::BundleError;
use crate::bundle::listing;
use crate::{FORMAT, Manifest, Sha256, Tree, open_regular};

/// The first frame holds the manifest and its signature, and no more than this.
pub(super) const HEAD_MAX: u64 = 16 << 20;
/// `"",` takes three bytes in JSON and eight times that in memory, so that their number needs a bound of its own.
const COMMAS_MAX: usize = 1 << 20;

/// Why a manifest is larger than what is read.
pub(super) fn too_large(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() as u64 > HEAD_MAX {
        return Some("it is larger than 16 MiB");
    }
    let commas = bytes.split(|byte| *byte == b',').count() - 1;
    (commas > COMMAS_MAX).then_some("it has more than 2^20 commas")
}

pub(super) fn parse(path: &Utf8Path, bytes: &[u8]) -> Result<Manifest, BundleError> {
    /// All that can be relied on in a format not known.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let path = || path.to_owned();
    let refuse = |why: &str| BundleError::NotABundle {
        path: path(),
        why: format!("bundle.json is refused: {why}"),
    };
    if let Some(why) = too_large(bytes) {
        return Err(refuse(why));
    }
    let unclear = |source| BundleError::Manifest {
        path: path(),
        source,
    };
    let Format { format } = serde_json::from_slice(bytes).map_err(unclear)?;
    if format > FORMAT {
        return Err(BundleError::Newer {
            path: path(),
            found: format,
        });
    }
    if format == 0 {
        return Err(refuse("there is no format 0"));
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(unclear)?;
    listing::check(&manifest.files).map_err(|source| BundleError::Listing {
        path: path(),
        source,
    })?;
    Ok(manifest)
}

/// One byte more than may be, so that too much is seen.
pub(super) fn limited(file: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Manifest {
    /// What a tree says that it holds, with the digest of that. It is checked as that of a bundle is.
    pub fn of_tree(tree: &Tree) -> Result<(Self, Sha256), BundleError> {
        let path = tree.manifest();
        let bytes = open_regular(&path)
            .and_then(|file| limited(file, HEAD_MAX))
            .map_err(|source| BundleError::Open { path, source })?;
        Ok((parse(tree.root(), &bytes)?, Sha256::of(&bytes)))
    }

    /// The same of what was applied last.
    pub fn of_applied(tree: &Tree) -> Result<(Self, Sha256), BundleError> {
        let path = tree.applied_manifest();
        let root = path.parent().unwrap_or(&path).to_owned();
        let bytes = open_regular(&path)
            .and_then(|file| limited(file, HEAD_MAX))
            .map_err(|source| BundleError::Open { path, source })?;
        Ok((parse(&root, &bytes)?, Sha256::of(&bytes)))
    }
}
