//! `kubexm.lock`: what a bundle was made of, so that the next one is made of the same.

mod difference;
mod error;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};

use artifact::{PlatformEntry, Sha256};
use camino::Utf8Path;
use cluster::Arch;
use serde::{Deserialize, Serialize};

use crate::packages::PackageRequest;
use crate::resolve::{Wanted, title};

pub use difference::Difference;
pub use error::LockError;
pub use system::{LockedPackage, LockedSystem};
pub(crate) use system::{Outdated, Unlockable};

/// The version of the lock file that this kubexm writes, and the newest it reads.
const FORMAT: u32 = 1;

/// Many times what the largest bundle needs.
const LARGEST: u64 = 64 << 20;

/// How strictly the lock file is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// What it pins stays pinned; what is new is added, what nobody wants any more is dropped.
    #[default]
    Pin,
    /// It must hold exactly what the config asks for.
    Locked,
}

/// Every address, digest and size of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: u32,
    /// The cluster that it belongs to.
    cluster: String,
    /// How often it has changed: what bundles are told apart by in time.
    #[serde(default)]
    pub serial: u64,
    /// By address.
    pub files: BTreeMap<String, LockedFile>,
    /// By reference.
    pub images: BTreeMap<String, LockedImage>,
    /// Packages of operating systems, by system and architecture: `debian-13/amd64`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub systems: BTreeMap<String, LockedSystem>,
    /// Addons, by their place in the bundle.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addons: BTreeMap<String, LockedAddon>,
}

/// An addon, and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedAddon {
    /// Addresses, and files beside the config, with what they gave.
    pub origins: BTreeMap<String, Sha256>,
    /// What it was made into.
    pub sha256: Sha256,
}

/// A file of upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    pub component: String,
    pub version: String,
    /// None where it is the same for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<Arch>,
    pub size: u64,
    pub sha256: Sha256,
    /// Where upstream publishes the digest; none where it does not, and this one is what first came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

/// An image of upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// What the reference means upstream: the digest of its index or manifest.
    pub upstream: Sha256,
    /// What is stored of it: the digest in the bundle's layout.
    pub stored: Sha256,
    pub platforms: Vec<PlatformEntry>,
}

impl Lock {
    /// Of a cluster that nothing is pinned for yet.
    #[must_use]
    pub fn of(cluster: &str) -> Self {
        Self {
            format: FORMAT,
            cluster: cluster.to_owned(),
            serial: 0,
            files: BTreeMap::new(),
            images: BTreeMap::new(),
            systems: BTreeMap::new(),
            addons: BTreeMap::new(),
        }
    }

    /// What each address of an addon gave. What lies beside the config may change: whoever changes it means it.
    pub(crate) fn addon_pins(&self) -> BTreeMap<String, Sha256> {
        let origins = self.addons.values().flat_map(|addon| &addon.origins);
        let addresses = origins.filter(|(place, _)| place.contains("://"));
        addresses
            .map(|(place, sha256)| (place.clone(), *sha256))
            .collect()
    }

    /// Two configs beside each other would take turns in dropping each other's pins.
    pub fn must_be_of(&self, cluster: &str, path: &Utf8Path) -> Result<(), LockError> {
        if self.cluster == cluster {
            return Ok(());
        }
        Err(LockError::OtherCluster {
            path: path.to_owned(),
            locked: self.cluster.clone(),
            wanted: cluster.to_owned(),
        })
    }

    /// The pins of what is wanted, but not for this architecture now: the next bundle may ask for it again.
    pub fn resting<'a>(
        &'a self,
        wanted: &'a Wanted,
    ) -> impl Iterator<Item = (&'a String, &'a LockedFile)> {
        self.files.iter().filter(|(_, locked)| {
            locked
                .arch
                .is_some_and(|arch| !wanted.arches.contains(&arch))
                && wanted.files.iter().any(|w| {
                    w.file.component == locked.component
                        && w.file.version.with_v() == locked.version
                })
        })
    }

    /// This lock in the place of the one before it.
    #[must_use]
    pub(crate) fn following(mut self, before: &Self) -> Self {
        self.serial = before.serial;
        if self != *before {
            self.serial += 1;
        }
        self
    }

    /// What this lock pins and `next` does not, by name.
    #[must_use]
    pub fn dropped(&self, next: &Self) -> Vec<String> {
        let files = self.files.iter();
        let files = files.filter(|(url, _)| !next.files.contains_key(*url));
        let files = files.map(|(_, file)| file.title());
        let images = self.images.keys();
        let images = images.filter(|reference| !next.images.contains_key(*reference));
        let systems = self.systems.keys();
        let systems = systems.filter(|system| !next.systems.contains_key(*system));
        let systems = systems.map(|system| format!("packages of {system}"));
        let addons = self.addons.keys();
        let addons = addons.filter(|place| !next.addons.contains_key(*place));
        files
            .chain(images.cloned())
            .chain(systems)
            .chain(addons.cloned())
            .collect()
    }

    /// The packages of systems that are wanted, but not for this architecture now.
    pub(crate) fn resting_systems<'a>(
        &'a self,
        requests: &'a [PackageRequest],
        arches: &'a BTreeSet<Arch>,
    ) -> impl Iterator<Item = (&'a String, &'a LockedSystem)> {
        self.systems.iter().filter(move |(_, locked)| {
            !arches.contains(&locked.set.arch)
                && requests.iter().any(|request| request.os == locked.set.os)
        })
    }

    /// The lock file, if there is one.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>, LockError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }

        let mut text = String::new();
        let read =
            File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
        match read {
            Ok(length) if length as u64 > LARGEST => {
                return Err(LockError::Malformed {
                    path: path.to_owned(),
                    cause: format!("it is larger than {} MiB", LARGEST >> 20),
                });
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(LockError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        }
        let malformed = |error: serde_json::Error| LockError::Malformed {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        let Format { format } = serde_json::from_str(&text).map_err(malformed)?;
        if format == 0 {
            return Err(LockError::Malformed {
                path: path.to_owned(),
                cause: "there is no format 0".to_owned(),
            });
        }
        if format > FORMAT {
            return Err(LockError::TooNew {
                path: path.to_owned(),
                found: format,
            });
        }
        let lock: Self = serde_json::from_str(&text).map_err(malformed)?;
        for (key, system) in &lock.systems {
            system.check(key).map_err(|why| LockError::System {
                path: path.to_owned(),
                why,
            })?;
        }
        Ok(Some(lock))
    }

    /// Writes it whole or not at all. The same lock always has the same bytes, and one that is right is left alone.
    pub fn write(&self, path: &Utf8Path) -> Result<(), LockError> {
        let error = |source| LockError::Write {
            path: path.to_owned(),
            source,
        };
        let mut text = serde_json::to_string_pretty(self).map_err(|e| error(e.into()))?;
        text.push('\n');
        if std::fs::read(path).is_ok_and(|present| present == text.as_bytes()) {
            return Ok(());
        }
        artifact::replace(path, 0o644, |file| file.write_all(text.as_bytes())).map_err(error)
    }
}

impl LockedFile {
    /// `etcd v3.5.24 for amd64`
    fn title(&self) -> String {
        title(&self.component, &self.version, self.arch)
    }
}

#[cfg(test)]
mod tests;
