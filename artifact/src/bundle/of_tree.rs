//! `bundle.json` as a tree has it.

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};

use crate::bundle::error::BundleError;
use crate::bundle::open::Bundle;
use crate::contents::HEAD_MAX;
use crate::{Contents, Sha256, Tree, open_regular};

/// One byte more than may be, so that too much is seen.
pub(super) fn limited(file: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As much of a file as any list may have, and one byte more.
pub(crate) fn read_list(path: &Utf8Path) -> io::Result<Vec<u8>> {
    limited(open_regular(path)?, HEAD_MAX)
}

impl Contents {
    /// What a tree says that it holds, with the digest of that. It is checked as that of a bundle is.
    pub fn of_tree(tree: &Tree) -> Result<(Self, Sha256), BundleError> {
        of_file(tree.contents())
    }

    /// The same of what was applied last.
    pub fn of_applied(tree: &Tree) -> Result<(Self, Sha256), BundleError> {
        of_file(tree.applied_contents())
    }
}

impl Contents {
    /// What a bundle, a part of one, or a `bundle.json` says that a tree shall hold, with the digest of that.
    pub fn told_by(path: &Utf8Path) -> Result<(Self, Sha256), BundleError> {
        let open = |source| BundleError::Open {
            path: path.to_owned(),
            source,
        };
        let mut first = [0];
        let read = open_regular(path).and_then(|mut file| file.read(&mut first));
        if read.map_err(open)? == 1 && first == *b"{" {
            return of_file(path.to_owned());
        }
        let bundle = Bundle::open(path)?;
        Ok((bundle.contents().clone(), bundle.digest()))
    }
}

fn of_file(path: Utf8PathBuf) -> Result<(Contents, Sha256), BundleError> {
    let bytes = match read_list(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(BundleError::Open { path, source }),
    };
    match Contents::read(&bytes) {
        Ok(contents) => Ok((contents, Sha256::of(&bytes))),
        Err(source) => {
            let path = path
                .parent()
                .map_or_else(|| path.clone(), Utf8Path::to_owned);
            Err(BundleError::Contents { path, source })
        }
    }
}
