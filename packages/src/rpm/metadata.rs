//! A metadata file of a repository: its bytes are what `repomd.xml` says, before and after they are decompressed.
use std::io::{self, BufRead, BufReader, Read};

use sha2::Digest;

use crate::openpgp::SignatureError;

use super::checksum::Sha256;
use super::xml::XmlError;

/// Metadata of the largest distributions decompress to some hundred megabytes.
const LARGEST: u64 = 4 << 30;

/// A metadata file as `repomd.xml` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it lies, from the repository's root on.
    pub location: String,
    /// The digest of the file.
    pub sha256: Sha256,
    /// Its size, where it is told.
    pub size: Option<u64>,
    pub(super) open: Option<Sha256>,
    pub(super) open_size: Option<u64>,
}

/// Why metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("repomd.xml is not signed: there is no repomd.xml.asc beside it")]
    Unsigned,
    #[error("repomd.xml: {0}")]
    Signature(#[from] SignatureError),
    #[error("repomd.xml names no {0} metadata")]
    Absent(&'static str),
    #[error("{file} is malformed {cause}")]
    Malformed { file: String, cause: XmlError },
    #[error("{file} has the SHA-256 {found}, but repomd.xml says {expected}")]
    Checksum {
        file: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("{file} decompresses to the SHA-256 {found}, but repomd.xml says {expected}")]
    OpenChecksum {
        file: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("{file} decompresses to more than the {limit} bytes that repomd.xml says")]
    TooLarge { file: String, limit: u64 },
    #[error("{file} cannot be decompressed: {source}")]
    Decompress { file: String, source: io::Error },
    #[error("{file} is compressed in a way that is not known here; known are .gz, .xz and .zst")]
    Compression { file: String },
    #[error("{file}: {cause}")]
    Modules { file: String, cause: String },
}

impl MetadataError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unsigned => Some(
                "if this distribution signs its packages alone, the table of systems says so with 'signed: packages'; \
                 otherwise the mirror is not complete",
            ),
            Self::Signature(error) => error.hint(),
            Self::Checksum { .. } | Self::OpenChecksum { .. } | Self::TooLarge { .. } => {
                Some("the mirror may be in the middle of an update: try again, or take another one")
            }
            _ => None,
        }
    }
}

impl Part {
    /// Whether these are the bytes that `repomd.xml` speaks of.
    pub fn verify(&self, stored: &[u8]) -> Result<(), MetadataError> {
        let found = Sha256::of(stored);
        if found == self.sha256 {
            return Ok(());
        }
        Err(MetadataError::Checksum {
            file: self.location.clone(),
            expected: self.sha256,
            found,
        })
    }

    /// Verifies the file and gives its content to `parse`, whose result counts only if the content was verified as well.
    pub(super) fn read<T>(
        &self,
        stored: &[u8],
        parse: impl FnOnce(&mut dyn BufRead) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        self.verify(stored)?;
        let limit = self.open_size.unwrap_or(LARGEST).min(LARGEST);
        let mut content = BufReader::with_capacity(
            1 << 16,
            Hashing {
                // One byte more tells a content of just that size from a larger one.
                inner: self.decompress(stored)?.take(limit + 1),
                hasher: sha2::Sha256::new(),
                failure: None,
            },
        );
        let parsed = parse(&mut content);
        // What broke the decompression matters more than what a parser makes of a half document.
        let drained = io::copy(&mut content, &mut io::sink());
        let content = content.into_inner();
        let file = || self.location.clone();
        if let Some(source) = content.failure.or(drained.err()) {
            return Err(MetadataError::Decompress {
                file: file(),
                source,
            });
        }
        if content.inner.limit() == 0 {
            return Err(MetadataError::TooLarge {
                file: file(),
                limit,
            });
        }
        let parsed = parsed?;
        let found = Sha256::finish(content.hasher);
        match self.open {
            Some(expected) if expected != found => Err(MetadataError::OpenChecksum {
                file: file(),
                expected,
                found,
            }),
            _ => Ok(parsed),
        }
    }

    fn decompress<'a>(&self, stored: &'a [u8]) -> Result<Box<dyn Read + 'a>, MetadataError> {
        let failed = |source| MetadataError::Decompress {
            file: self.location.clone(),
            source,
        };
        let suffix = self
            .location
            .rsplit_once('.')
            .map_or("", |(_, suffix)| suffix);
        Ok(match suffix {
            "gz" => Box::new(flate2::read::MultiGzDecoder::new(stored)),
            "xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(stored)),
            "zst" => Box::new(zstd::Decoder::with_buffer(stored).map_err(failed)?),
            "xml" | "yaml" => Box::new(stored),
            _ => {
                return Err(MetadataError::Compression {
                    file: self.location.clone(),
                });
            }
        })
    }

    pub(super) fn malformed(&self) -> impl Fn(XmlError) -> MetadataError + '_ {
        |cause| MetadataError::Malformed {
            file: self.location.clone(),
            cause,
        }
    }
}

/// Hashes what passes, and remembers why nothing more came.
struct Hashing<R> {
    inner: R,
    hasher: sha2::Sha256,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.hasher.update(&buffer[..read]);
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.failure = Some(error);
                Err(told)
            }
        }
    }
}
