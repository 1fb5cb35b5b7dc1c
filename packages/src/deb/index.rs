//! `Packages`: one stanza for each package, streamed; of 60 MB of text only what solving and fetching need is kept.

use std::io::{self, BufRead, BufReader, Read};

use deb822_fast::{Deb822, Paragraph};
use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;

use super::release::{Compression, IndexFile};
use crate::checked::{Checked, Checksum};

/// What is kept of a stanza.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
    pub(super) arch: Box<str>,
    pub(super) priority: Priority,
    pub(super) essential: Essential,
    pub(super) multi_arch: MultiArch,
    /// Pre-Depends and Depends: what is needed is needed, in whatever order it is configured.
    pub(super) requires: Box<str>,
    pub(super) conflicts: Box<str>,
    pub(super) breaks: Box<str>,
    pub(super) provides: Box<str>,
    pub(super) path: Box<str>,
    pub(super) checksum: Checksum,
    pub(super) source: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    Required,
    Important,
    Standard,
    Optional,
    Extra,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Essential {
    Yes,
    No,
}

/// As far as it matters where there is one architecture: whether `name:any` is satisfied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MultiArch {
    Allowed,
    Other,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(
        "{path} is not what the archive signed: {} bytes with sha256 {}, and not {} bytes with {}",
        .found.size, .found.sha256, .signed.size, .signed.sha256
    )]
    Tampered {
        path: String,
        found: Checksum,
        signed: Checksum,
    },
    #[error("{path} cannot be read: {why}")]
    Malformed { path: String, why: String },
    #[error("reading {path}: {cause}")]
    Io { path: String, cause: io::Error },
}

impl IndexError {
    /// What a person can do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tampered { .. } => Some(
                "the archive may just be changing: try again; if it stays, a mirror or a proxy gives something else",
            ),
            Self::Malformed { .. } | Self::Io { .. } => None,
        }
    }
}

/// Reads an index. What is read counts only if all bytes together are what was signed.
pub(super) fn read(
    file: &IndexFile,
    bytes: impl Read,
    source: usize,
) -> Result<Vec<Entry>, IndexError> {
    let path = || file.path.clone();
    // One byte more than signed is enough to know better.
    let mut checked = Checked::new(bytes.take(file.checksum.size + 1));
    let entries = {
        let unpacked: Box<dyn Read + '_> = match file.compression {
            Compression::Xz => Box::new(XzDecoder::new_multi_decoder(&mut checked)),
            Compression::Gzip => Box::new(MultiGzDecoder::new(&mut checked)),
        };
        stanzas(
            BufReader::with_capacity(1 << 16, unpacked.take(file.unpacked)),
            source,
        )
    };
    let found = checked.finish().map_err(|cause| IndexError::Io {
        path: path(),
        cause,
    })?;
    // Broken text is a consequence where the bytes are wrong.
    if found != file.checksum {
        return Err(IndexError::Tampered {
            path: path(),
            found,
            signed: file.checksum.clone(),
        });
    }
    entries.map_err(|why| IndexError::Malformed { path: path(), why })
}

fn stanzas(text: impl BufRead, source: usize) -> Result<Vec<Entry>, String> {
    Deb822::iter_paragraphs_from_reader(text)
        .map(|paragraph| {
            let paragraph = paragraph.map_err(|error| error.to_string())?;
            entry(&paragraph, source).map_err(|field| {
                let name = paragraph
                    .get("Package")
                    .unwrap_or("a stanza without a name");
                format!("{name} has no good {field}")
            })
        })
        .collect()
}

fn entry(paragraph: &Paragraph, source: usize) -> Result<Entry, &'static str> {
    let must = |field: &'static str| paragraph.get(field).ok_or(field);
    let may = |field: &str| Box::from(paragraph.get(field).unwrap_or_default());
    let requires = [paragraph.get("Pre-Depends"), paragraph.get("Depends")];
    let requires: Vec<&str> = requires.into_iter().flatten().collect();
    let sha256 = must("SHA256")?;
    Ok(Entry {
        name: must("Package")?.into(),
        version: must("Version")?.into(),
        arch: must("Architecture")?.into(),
        priority: match paragraph.get("Priority") {
            Some("required") => Priority::Required,
            Some("important") => Priority::Important,
            Some("standard") => Priority::Standard,
            Some("extra") => Priority::Extra,
            _ => Priority::Optional,
        },
        essential: match paragraph.get("Essential") {
            Some("yes") => Essential::Yes,
            _ => Essential::No,
        },
        multi_arch: match paragraph.get("Multi-Arch") {
            Some("allowed") => MultiArch::Allowed,
            _ => MultiArch::Other,
        },
        requires: requires.join(", ").into(),
        conflicts: may("Conflicts"),
        breaks: may("Breaks"),
        provides: may("Provides"),
        path: must("Filename")?.into(),
        checksum: Checksum {
            size: must("Size")?.parse().map_err(|_| "Size")?,
            sha256: match hex::decode(sha256) {
                Ok(hash) if hash.len() == 32 => sha256.to_ascii_lowercase(),
                _ => return Err("SHA256"),
            },
        },
        source,
    })
}
