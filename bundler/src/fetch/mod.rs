//! Files over HTTP: in parallel, resumed after a cut, verified while they stream.
//!
//! A file has its final name only when all of it is there and right. Until then it is `<name>.part`, with
//! `<name>.part.json` telling what it was begun from, so that the next attempt or the next run goes on behind what has
//! come. What may pass is tried again; what cannot is told at once; the end tells every failure together.

mod address;
mod client;
mod digests;
mod download;
mod error;
mod fetcher;
mod origin;
mod part;
mod published;
mod seen;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod watch;

use artifact::Sha256;
use camino::Utf8PathBuf;

pub use address::{Address, Login, ParseAddressError};
pub use client::{HttpOptions, Retry};
pub use error::FetchError;
pub use fetcher::Fetcher;
pub use published::Digest;

pub(crate) use address::redact;
pub(crate) use digests::{Digests, digests_of};
pub(crate) use error::{causes, is_untrusted};
pub(crate) use part::{Part, blocking, receive};
pub(crate) use watch::{Passing, Patience, Shown, Watch, patiently};

use crate::mirror::Mirrors;

/// The stage that files are reported under.
pub const STAGE: &str = "files";

/// A file to be fetched.
#[derive(Clone, Debug)]
pub struct FileJob {
    /// What people call it: `etcd v3.5.24 for amd64`.
    pub title: String,
    /// Upstream's address; mirrors are applied here.
    pub url: Address,
    pub dest: Utf8PathBuf,
    pub checksum: Checksum,
    /// Its size, where that is known beforehand.
    pub size: Option<u64>,
    /// How many bytes it has at most: just as many where somebody vouches for that, otherwise a number by its kind.
    pub limit: u64,
}

/// Ten times what the largest file of upstream has.
pub(crate) const FILE_LIMIT: u64 = 8 << 30;
/// Of a text that is read whole.
pub(crate) const DOCUMENT_LIMIT: u64 = 16 << 20;
/// Of a compressed list of packages whose size nobody tells.
pub(crate) const INDEX_LIMIT: u64 = 1 << 30;

/// What a file is compared with.
#[derive(Clone, Debug)]
pub enum Checksum {
    /// The lock file pins it.
    Known(Sha256),
    /// An index that is signed gives it; here is the index's address.
    Listed { sha256: Sha256, index: String },
    /// Upstream publishes it in a document, under this file name.
    Published { url: Address, file: String },
    /// Nobody publishes one: what comes is taken, and recorded.
    FirstSeen,
}

/// A file that is there, whole and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub dest: Utf8PathBuf,
    pub sha256: Sha256,
    pub size: u64,
    /// Where upstream publishes the digest that it was compared with just now.
    pub checksum_from: Option<String>,
    /// Whether any byte had to come.
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Satisfied,
    Downloaded,
}

/// Everything that could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct FetchFailures(pub Vec<FileFailure>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{title}: {error}")]
pub struct FileFailure {
    pub title: String,
    pub error: FetchError,
}

impl FetchFailures {
    /// Whether the person stopped it; whatever else failed is told all the same.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.0
            .iter()
            .any(|failure| failure.error == FetchError::Interrupted)
    }
}

/// An address of the table or of an index.
pub(crate) fn address(url: &str) -> Result<Address, FetchError> {
    url.parse()
        .map_err(|error: ParseAddressError| FetchError::Unreachable {
            url: url.to_owned(),
            cause: error.to_string(),
        })
}

fn list(failures: &[FileFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// How many at a time.
    pub jobs: usize,
    pub mirrors: Mirrors,
    pub http: HttpOptions,
}
