//! `bundle.json` as a tree has it.

use std::io::{self, Read};

use crate::bundle::error::BundleError;
use crate::manifest::HEAD_MAX;
use crate::{Manifest, Sha256, Tree, open_regular};

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
        let bytes = match open_regular(&path).and_then(|file| limited(file, HEAD_MAX)) {
            Ok(bytes) => bytes,
            Err(source) => return Err(BundleError::Open { path, source }),
        };
        match Self::read(&bytes) {
            Ok(manifest) => Ok((manifest, Sha256::of(&bytes))),
            Err(source) => Err(BundleError::Contents {
                path: tree.root().to_owned(),
                source,
            }),
        }
    }
}
