//! The packages of a system in the lock file. They are written into the tree and installed as root, and the file may have
//! come from anybody who can propose a change: so what it says is judged.

use std::collections::BTreeMap;
use std::fmt;

use artifact::{PackageFormat, PackageSet, Sha256};
use camino::Utf8PathBuf;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::packages::{PackageRequest, Wishes};

/// The packages of a system for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSystem {
    /// What was asked for when they were chosen.
    pub wanted: Wishes,
    /// Of what kubexm knew of the system then; none where an older kubexm did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Sha256>,
    /// When the signed indexes were made, by the address of what they are of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dates: BTreeMap<String, Timestamp>,
    /// What the bundle says of them.
    pub set: PackageSet,
    /// By path in the tree.
    pub files: BTreeMap<Utf8PathBuf, LockedPackage>,
}

/// A package of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    pub url: String,
    pub size: u64,
    pub sha256: Sha256,
    /// The signed index that gave the digest.
    pub index: String,
}

/// Something that must not be in a lock file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlockable {
    #[error("{key:?} is not the system that it holds, {system}")]
    Key { key: String, system: String },
    #[error("{path:?} is no place for a package of {system}")]
    Place { path: String, system: String },
    #[error("{path:?} is either listed and not locked, or locked and not listed")]
    Listing { path: String },
}

/// Why locked packages cannot be taken as they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outdated {
    Wishes,
    Known,
    Elsewhere { url: String },
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wishes => f.write_str("others are wanted than are locked"),
            Self::Known => f.write_str(
                "they were locked by a kubexm that knew other archives, keys or base packages of it",
            ),
            Self::Elsewhere { url } => {
                write!(f, "{url} is locked, and in none of the system's archives")
            }
        }
    }
}

impl LockedSystem {
    /// Whether it is of the system that the key says, and writes nothing but packages into that system's directory.
    pub(crate) fn check(&self, key: &str) -> Result<(), Unlockable> {
        let PackageSet {
            os, arch, format, ..
        } = &self.set;
        let system = || format!("{os}/{arch}");
        if key != system() {
            return Err(Unlockable::Key {
                key: key.to_owned(),
                system: system(),
            });
        }
        let directory = PackageSet::directory(os, *arch);
        if let Some(path) = self.files.keys().find(|path| {
            let name = path.file_name().unwrap_or_default();
            !is_package(name, *format) || directory.join(name).as_str() != path.as_str()
        }) {
            return Err(Unlockable::Place {
                path: path.to_string(),
                system: system(),
            });
        }
        let listed = self.set.packages.iter().map(|package| &package.path);
        let mut listed: Vec<&Utf8PathBuf> = listed.collect();
        listed.sort();
        let mut pairs = self.files.keys().zip(&listed);
        let odd = match pairs.find(|(locked, listed)| locked != *listed) {
            Some((locked, listed)) => Some(locked.min(listed)),
            None if self.files.len() == listed.len() => None,
            None => self.files.keys().chain(listed).last(),
        };
        odd.map_or(Ok(()), |path| {
            Err(Unlockable::Listing {
                path: path.to_string(),
            })
        })
    }

    /// Why it cannot be taken for what is asked now, if so. An address beyond the system's archives is vouched for by
    /// nothing but this file: their signed indexes are to say once more what is right.
    pub(crate) fn outdated(&self, request: &PackageRequest) -> Option<Outdated> {
        if self.wanted != request.wishes {
            return Some(Outdated::Wishes);
        }
        if self.known != Some(request.known.digest) {
            return Some(Outdated::Known);
        }
        let addresses = self
            .files
            .values()
            .flat_map(|file| [&file.url, &file.index]);
        let mut elsewhere = addresses.filter(|url| !request.known.has(url));
        elsewhere.next().map(|url| Outdated::Elsewhere {
            url: crate::fetch::redact(url),
        })
    }
}

/// Whether a file may be called so: by archives too, whose names are used here.
fn is_package(name: &str, format: PackageFormat) -> bool {
    let suffix = match format {
        PackageFormat::Deb => ".deb",
        PackageFormat::Rpm => ".rpm",
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~^%:=@{}()-".contains(c);
    name.strip_suffix(suffix)
        .is_some_and(|name| !name.is_empty())
        && !name.starts_with('.')
        && name.len() <= LONGEST
        && name.chars().all(plain)
}

/// Leaves room for what is put before and behind a name while a file is written.
const LONGEST: usize = 240;

#[cfg(test)]
mod tests;
