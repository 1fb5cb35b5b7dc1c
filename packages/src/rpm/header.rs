//! The file of a package, judged and read by its own header.
use std::io::{self, BufRead, BufReader, Read};

use jiff::Timestamp;
use rpm::{IndexTag, PackageMetadata};

use crate::checked::{Checked, Checksum};
use crate::openpgp::{Keyring, SignatureError};

/// Why the file of a package cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("{file} is no rpm package: {source}")]
    Malformed { file: String, source: rpm::Error },
    #[error("{file} cannot be read: {source}")]
    Read { file: String, source: io::Error },
    #[error("{file} is not signed")]
    Unsigned { file: String },
    #[error("{file}: {source}")]
    Signature {
        file: String,
        source: SignatureError,
    },
    #[error(
        "the signature of {file} says nothing of its content: the header has no payload digest"
    )]
    NoDigest { file: String },
    #[error("the content of {file} has the SHA-256 {found}, but its signed header says {expected}")]
    Payload {
        file: String,
        expected: String,
        found: String,
    },
}

impl HeaderError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Signature { source, .. } => source.hint(),
            Self::Unsigned { .. } => Some(
                "the mirror has another file than the distribution made, or it needs another key",
            ),
            Self::NoDigest { .. } => {
                Some("rpm writes one since 4.14: the package is older than any system known here")
            }
            Self::Malformed { .. } | Self::Payload { .. } => {
                Some("fetch it again, or from another mirror")
            }
            Self::Read { .. } => None,
        }
    }
}

/// Whether a package is signed by one of the keys, where a distribution signs its packages and not its metadata: the
/// signature covers the header, the header has the digest of the content.
pub fn verify(
    file: &str,
    content: impl BufRead,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<(), HeaderError> {
    let file = || file.to_owned();
    let malformed = |source| HeaderError::Malformed {
        file: file(),
        source,
    };
    let mut content = content;
    let metadata = PackageMetadata::parse(&mut content).map_err(malformed)?;

    let signed = metadata.header_bytes().map_err(malformed)?;
    let signatures = metadata.raw_signatures().map_err(malformed)?;
    let judged = signatures
        .iter()
        .map(|signature| keyring.verify_detached(&signed, signature, now))
        .reduce(Result::or);
    judged
        .ok_or_else(|| HeaderError::Unsigned { file: file() })?
        .map_err(|source| HeaderError::Signature {
            file: file(),
            source,
        })?;

    let digests = metadata
        .header
        .get_entry_data_as_string_array(IndexTag::RPMTAG_PAYLOADSHA256);
    let expected = digests
        .ok()
        .and_then(|digests| digests.first().map(|digest| (*digest).to_owned()))
        .ok_or_else(|| HeaderError::NoDigest { file: file() })?;
    let found = Checked::new(content)
        .finish()
        .map_err(|source| HeaderError::Read {
            file: file(),
            source,
        })?
        .sha256;
    if found != expected {
        return Err(HeaderError::Payload {
            file: file(),
            expected,
            found,
        });
    }
    Ok(())
}

/// The file of a package that a repository is to carry.
#[derive(Debug, Clone)]
pub struct PackageFile {
    pub(super) location: String,
    pub(super) checksum: Checksum,
    pub(super) metadata: PackageMetadata,
}

impl PackageFile {
    /// Reads a package whole; `location` is where it lies in the repository to be made.
    pub fn read(location: &str, content: impl Read) -> Result<Self, HeaderError> {
        let mut content = BufReader::new(Checked::new(content));
        let metadata =
            PackageMetadata::parse(&mut content).map_err(|source| HeaderError::Malformed {
                file: location.to_owned(),
                source,
            })?;
        let checksum = content
            .into_inner()
            .finish()
            .map_err(|source| HeaderError::Read {
                file: location.to_owned(),
                source,
            })?;
        Ok(Self {
            location: location.to_owned(),
            checksum,
            metadata,
        })
    }

    /// Size and digest of the file.
    #[must_use]
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }
}
