//! `repomd.xml`: which metadata files a repository has, with their checksums. Who signed it vouches for all of them.
use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::openpgp::Keyring;

use super::checksum::Sha256;
use super::metadata::{MetadataError, Part};
use super::xml::{Attributes, Visitor, walk};

/// What a distribution signs.
#[derive(Debug, Clone, Copy)]
pub enum Signed<'a> {
    /// `repomd.xml`, and with it everything.
    Metadata(&'a Keyring),
    /// Each package only; [`super::header::verify`] judges them. Who can change the metadata can then withhold an update,
    /// but not slip in a package.
    Packages,
}

/// The metadata files of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repomd {
    parts: BTreeMap<String, Part>,
    made: Option<Timestamp>,
}

impl Repomd {
    /// Reads `repomd.xml`, if `signature` (`repomd.xml.asc`) proves it where the distribution signs it.
    pub fn read(
        bytes: &[u8],
        signature: Option<&[u8]>,
        signed: Signed<'_>,
        now: Timestamp,
    ) -> Result<Self, MetadataError> {
        if let Signed::Metadata(keyring) = signed {
            let signature = signature.ok_or(MetadataError::Unsigned)?;
            keyring.verify_detached(bytes, signature, now)?;
        }
        let mut reader = Reader::default();
        walk(bytes, &mut reader).map_err(|cause| MetadataError::Malformed {
            file: "repomd.xml".to_owned(),
            cause,
        })?;
        Ok(Self {
            parts: reader.parts,
            made: reader.made,
        })
    }

    /// When the newest of its files was made, where it says so.
    #[must_use]
    pub fn made(&self) -> Option<Timestamp> {
        self.made
    }

    /// Packages and their relations.
    pub fn primary(&self) -> Result<&Part, MetadataError> {
        self.parts
            .get("primary")
            .ok_or(MetadataError::Absent("primary"))
    }

    /// Every file of every package.
    pub fn filelists(&self) -> Result<&Part, MetadataError> {
        self.parts
            .get("filelists")
            .ok_or(MetadataError::Absent("filelists"))
    }

    /// Which packages belong to streams of modules, in a repository that has any.
    #[must_use]
    pub fn modules(&self) -> Option<&Part> {
        self.parts.get("modules")
    }
}

#[derive(Default)]
struct Reader {
    parts: BTreeMap<String, Part>,
    made: Option<Timestamp>,
    kind: String,
    checksum_type: String,
    sha256: Option<Sha256>,
    open: Option<Sha256>,
    location: Option<String>,
    base: Option<String>,
    size: Option<u64>,
    open_size: Option<u64>,
}

impl Visitor for Reader {
    fn start(&mut self, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match name {
            "data" => {
                *self = Self {
                    parts: std::mem::take(&mut self.parts),
                    made: self.made,
                    kind: attributes.require("type")?.into_owned(),
                    ..Self::default()
                };
            }
            "checksum" | "open-checksum" => {
                self.checksum_type = attributes.require("type")?.into_owned();
            }
            "location" => {
                self.location = Some(local(&attributes.require("href")?)?);
                self.base = base(attributes)?.map(Cow::into_owned);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &str, text: &str) -> Result<(), String> {
        let number = || {
            text.parse()
                .map(Some)
                .map_err(|_| format!("'{text}' is no size"))
        };
        match name {
            "checksum" if self.checksum_type == "sha256" => self.sha256 = Some(text.parse()?),
            "open-checksum" if self.checksum_type == "sha256" => self.open = Some(text.parse()?),
            // Some write it with a fraction.
            "timestamp" => {
                let seconds = text.split('.').next().and_then(|text| text.parse().ok());
                let made = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
                self.made = self.made.max(made);
            }
            "size" => self.size = number()?,
            "open-size" => self.open_size = number()?,
            // Files that nobody asks for here may be as they like.
            "data" if ["primary", "filelists", "modules"].contains(&self.kind.as_str()) => {
                let kind = std::mem::take(&mut self.kind);
                if let Some(base) = &self.base {
                    return Err(format!(
                        "{kind} lies at '{base}', outside of the repository"
                    ));
                }
                let part = Part {
                    sha256: self.sha256.take().ok_or_else(|| {
                        format!(
                            "{kind} has the checksum '{}', not sha256",
                            self.checksum_type
                        )
                    })?,
                    location: self
                        .location
                        .take()
                        .ok_or_else(|| format!("{kind} has no location"))?,
                    open: self.open.take(),
                    size: self.size.take(),
                    open_size: self.open_size.take(),
                };
                self.parts.insert(kind, part);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The address that a location is below, where that is not the one of the metadata.
pub(super) fn base<'a>(attributes: &'a Attributes<'_>) -> Result<Option<Cow<'a, str>>, String> {
    Ok(attributes.get("xml:base")?.filter(|base| !base.is_empty()))
}

/// A path below the repository, as metadata must have it.
pub(super) fn local(path: &str) -> Result<String, String> {
    let outside = path.is_empty() || path.starts_with('/') || path.contains("://");
    if outside || path.split('/').any(|part| part == "..") {
        return Err(format!("'{path}' lies outside of the repository"));
    }
    Ok(path.to_owned())
}
