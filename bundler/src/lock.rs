//! `kubexm.lock`: what a bundle was made of, so that the next one is made of the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;

use artifact::{PackageSet, PlatformEntry, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use serde::{Deserialize, Serialize};

use crate::packages::{Asked, Wishes};
use crate::resolve::{Wanted, WantedFile, title};

/// The version of the lock file that this kubexm writes, and the newest it reads.
const FORMAT: u32 = 1;

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
    /// By address.
    pub files: BTreeMap<String, LockedFile>,
    /// By reference.
    pub images: BTreeMap<String, LockedImage>,
    /// Packages of operating systems, by system and architecture: `debian-13/amd64`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub systems: BTreeMap<String, LockedSystem>,
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

/// The packages of a system for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSystem {
    /// What was asked for when they were chosen.
    pub wanted: Wishes,
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

/// Why the lock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("cannot read the lock file {path}: {source}")]
    Read {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not a lock file of kubexm: {cause}")]
    Malformed { path: Utf8PathBuf, cause: String },
    #[error("{path} has format {found}; this kubexm knows formats up to {FORMAT}")]
    TooNew { path: Utf8PathBuf, found: u32 },
    #[error("there is no lock file {path}, and --locked asks for one")]
    Absent { path: Utf8PathBuf },
    #[error("{path} does not fit the config:\n{}", lines(.differences))]
    Differs {
        path: Utf8PathBuf,
        differences: Vec<Difference>,
    },
    #[error("{path} is the lock file of cluster '{locked}', not of '{wanted}'")]
    OtherCluster {
        path: Utf8PathBuf,
        locked: String,
        wanted: String,
    },
    #[error("cannot write the lock file {path}: {source}")]
    Write {
        path: Utf8PathBuf,
        source: std::io::Error,
    },
}

impl LockError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Malformed { .. } => {
                "take it back from version control, or delete it: the next bundle writes it anew"
            }
            Self::TooNew { .. } => "use the kubexm that wrote it, or a newer one",
            Self::OtherCluster { .. } => {
                "keep each cluster's config in a directory of its own, or remove the lock file if the cluster was renamed"
            }
            Self::Absent { .. } | Self::Differs { .. } => {
                "bundle once without --locked, look at what changed in the lock file, and keep it"
            }
            Self::Read { .. } | Self::Write { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// One point where lock file and config part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    FileNotLocked {
        title: String,
        url: String,
    },
    FileNotWanted {
        title: String,
        url: String,
    },
    ImageNotLocked {
        reference: String,
    },
    ImageNotWanted {
        reference: String,
    },
    SystemNotLocked {
        system: String,
    },
    SystemNotWanted {
        system: String,
    },
    SystemChanged {
        system: String,
    },
    Content {
        what: String,
    },
    Platforms {
        reference: String,
        locked: Vec<Arch>,
        wanted: Vec<Arch>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileNotLocked { title, url } => {
                write!(f, "{title} is wanted and not locked: {url}")
            }
            Self::FileNotWanted { title, url } => {
                write!(f, "{title} is locked and not wanted: {url}")
            }
            Self::ImageNotLocked { reference } => {
                write!(f, "image {reference} is wanted and not locked")
            }
            Self::ImageNotWanted { reference } => {
                write!(f, "image {reference} is locked and not wanted")
            }
            Self::SystemNotLocked { system } => {
                write!(f, "packages of {system} are wanted and not locked")
            }
            Self::SystemNotWanted { system } => {
                write!(f, "packages of {system} are locked and not wanted")
            }
            Self::SystemChanged { system } => {
                write!(f, "other packages of {system} are wanted than are locked")
            }
            Self::Content { what } => write!(f, "{what} is not what was locked"),
            Self::Platforms {
                reference,
                locked,
                wanted,
            } => {
                let names = |arches: &[Arch]| {
                    arches
                        .iter()
                        .map(|arch| arch.go())
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                write!(
                    f,
                    "image {reference} is wanted for {} and locked for {}",
                    names(wanted),
                    names(locked)
                )
            }
        }
    }
}

fn lines(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(|d| format!("  {d}"))
        .collect::<Vec<_>>()
        .join("\n")
}

impl Lock {
    /// Of a cluster that nothing is pinned for yet.
    #[must_use]
    pub fn of(cluster: &str) -> Self {
        Self {
            format: FORMAT,
            cluster: cluster.to_owned(),
            files: BTreeMap::new(),
            images: BTreeMap::new(),
            systems: BTreeMap::new(),
        }
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
        files.chain(images.cloned()).chain(systems).collect()
    }

    /// The packages of systems that are wanted, but not for this architecture now.
    pub(crate) fn resting_systems<'a>(
        &'a self,
        asked: &'a [Asked],
        arches: &'a BTreeSet<Arch>,
    ) -> impl Iterator<Item = (&'a String, &'a LockedSystem)> {
        self.systems.iter().filter(move |(_, locked)| {
            !arches.contains(&locked.set.arch)
                && asked.iter().any(|asked| asked.os == locked.set.os)
        })
    }

    /// The lock file, if there is one.
    pub fn read(path: &Utf8Path) -> Result<Option<Self>, LockError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }

        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(LockError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
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
        serde_json::from_str(&text).map(Some).map_err(malformed)
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

    /// Every point where this lock and what is wanted part, sorted.
    #[must_use]
    pub(crate) fn differences(&self, wanted: &Wanted, asked: &[Asked]) -> Vec<Difference> {
        let mut differences = self.differences_of_systems(wanted, asked);
        let files: BTreeMap<&str, &WantedFile> = wanted
            .files
            .iter()
            .map(|wanted| (wanted.file.url.as_str(), wanted))
            .collect();
        for (url, file) in &files {
            if !self.files.contains_key(*url) {
                differences.push(Difference::FileNotLocked {
                    title: file.title(),
                    url: (*url).to_owned(),
                });
            }
        }
        let resting: BTreeSet<&String> = self.resting(wanted).map(|(url, _)| url).collect();
        for (url, file) in &self.files {
            if !files.contains_key(url.as_str()) && !resting.contains(url) {
                differences.push(Difference::FileNotWanted {
                    title: file.title(),
                    url: url.clone(),
                });
            }
        }
        let images: BTreeSet<&str> = wanted
            .images
            .iter()
            .map(|image| image.reference.as_str())
            .collect();
        for reference in &images {
            let Some(locked) = self.images.get(*reference) else {
                differences.push(Difference::ImageNotLocked {
                    reference: (*reference).to_owned(),
                });
                continue;
            };
            let platforms: BTreeSet<Arch> = locked.platforms.iter().map(|p| p.arch).collect();
            if platforms != wanted.arches {
                differences.push(Difference::Platforms {
                    reference: (*reference).to_owned(),
                    locked: platforms.into_iter().collect(),
                    wanted: wanted.arches.iter().copied().collect(),
                });
            }
        }
        for reference in self.images.keys() {
            if !images.contains(reference.as_str()) {
                differences.push(Difference::ImageNotWanted {
                    reference: reference.clone(),
                });
            }
        }
        differences.sort();
        differences
    }

    fn differences_of_systems(&self, wanted: &Wanted, asked: &[Asked]) -> Vec<Difference> {
        let mut differences = Vec::new();
        for asked in asked {
            let system = asked.key();
            match self.systems.get(&system) {
                None => differences.push(Difference::SystemNotLocked { system }),
                Some(locked) if locked.wanted != asked.wishes => {
                    differences.push(Difference::SystemChanged { system });
                }
                Some(_) => {}
            }
        }
        let resting: BTreeSet<&String> = self
            .resting_systems(asked, &wanted.arches)
            .map(|(system, _)| system)
            .collect();
        let kept = |system: &String| {
            resting.contains(system) || asked.iter().any(|asked| asked.key() == *system)
        };
        let dropped = self.systems.keys().filter(|system| !kept(system));
        differences.extend(dropped.map(|system| Difference::SystemNotWanted {
            system: system.clone(),
        }));
        differences
    }
}

impl LockedFile {
    /// `etcd v3.5.24 for amd64`
    fn title(&self) -> String {
        title(&self.component, &self.version, self.arch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Lock {
        let mut lock = Lock::of("example");
        for name in ["b", "a"] {
            lock.files.insert(
                format!("https://example.com/{name}"),
                LockedFile {
                    component: name.to_owned(),
                    version: "v1.2.3".to_owned(),
                    arch: Some(Arch::Amd64),
                    size: 7,
                    sha256: Sha256::of(name.as_bytes()),
                    published: (name == "a").then(|| "https://example.com/SHA256SUMS".to_owned()),
                },
            );
        }
        lock.images.insert(
            "example.com/app:1".to_owned(),
            LockedImage {
                upstream: Sha256::of(b"index"),
                stored: Sha256::of(b"stored"),
                platforms: vec![PlatformEntry {
                    arch: Arch::Amd64,
                    digest: Sha256::of(b"m"),
                    size: 3,
                }],
            },
        );
        lock
    }

    #[test]
    fn what_is_written_is_read_and_written_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("kubexm.lock")).unwrap();
        assert!(Lock::read(&path).unwrap().is_none());
        example().write(&path).unwrap();
        let first = std::fs::read(&path).unwrap();
        let read = Lock::read(&path).unwrap().unwrap();
        assert_eq!(read, example());
        read.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left"
        );
        insta::assert_snapshot!(String::from_utf8(first).unwrap());
    }

    /// `a` and what is given, of the addresses and names of the example.
    fn wanted(files: &[(&str, &str, Arch)], images: &[&str], arches: &[Arch]) -> Wanted {
        let file = |(name, version, arch): &(&str, &str, Arch)| WantedFile {
            file: manifests::Resolved {
                component: (*name).to_owned(),
                version: version.parse().unwrap(),
                arch: Some(*arch),
                url: format!("https://example.com/{name}"),
                checksum: manifests::Checksum::Unpublished,
                path: format!("{name}/file"),
                carries: manifests::Carries::Nothing,
            },
            wanted_by: Vec::new(),
        };
        Wanted {
            arches: arches.iter().copied().collect(),
            files: files.iter().map(file).collect(),
            images: images
                .iter()
                .map(|reference| crate::resolve::WantedImage {
                    reference: (*reference).to_owned(),
                    wanted_by: Vec::new(),
                })
                .collect(),
            named: BTreeSet::new(),
            needs: Vec::new(),
            nearest: None,
        }
    }

    #[test]
    fn each_difference_is_named() {
        let new = wanted(
            &[("a", "1.2.3", Arch::Amd64), ("c", "1.0.0", Arch::Amd64)],
            &["example.com/app:1", "example.com/new:1"],
            &Arch::ALL,
        );
        let error = LockError::Differs {
            path: "kubexm.lock".into(),
            differences: example().differences(&new, &[]),
        };
        insta::assert_snapshot!(error.to_string(), @r"
        kubexm.lock does not fit the config:
          c v1.0.0 for amd64 is wanted and not locked: https://example.com/c
          b v1.2.3 for amd64 is locked and not wanted: https://example.com/b
          image example.com/new:1 is wanted and not locked
          image example.com/app:1 is wanted for amd64, arm64 and locked for amd64
        ");
        let same = wanted(
            &[("a", "1.2.3", Arch::Amd64), ("b", "1.2.3", Arch::Amd64)],
            &["example.com/app:1"],
            &[Arch::Amd64],
        );
        assert_eq!(example().differences(&same, &[]), []);
    }

    #[test]
    fn pins_of_an_architecture_that_is_left_out_for_now_are_no_difference() {
        let mut lock = example();
        let mut arm = lock.files["https://example.com/a"].clone();
        arm.arch = Some(Arch::Arm64);
        lock.files
            .insert("https://example.com/a-arm64".to_owned(), arm.clone());
        arm.version = "v1.2.2".to_owned();
        lock.files
            .insert("https://example.com/a-old".to_owned(), arm);
        let now = wanted(
            &[("a", "1.2.3", Arch::Amd64), ("b", "1.2.3", Arch::Amd64)],
            &["example.com/app:1"],
            &[Arch::Amd64],
        );
        let resting: Vec<_> = lock.resting(&now).map(|(url, _)| url.as_str()).collect();
        assert_eq!(resting, ["https://example.com/a-arm64"]);
        let differences: Vec<_> = lock.differences(&now, &[]);
        assert_eq!(
            differences
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["a v1.2.2 for arm64 is locked and not wanted: https://example.com/a-old"]
        );
    }

    #[test]
    fn the_lock_of_another_cluster_is_refused() {
        let lock = Lock::of("east");
        lock.must_be_of("east", "kubexm.lock".into()).unwrap();
        let error = lock.must_be_of("west", "kubexm.lock".into()).unwrap_err();
        insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
        kubexm.lock is the lock file of cluster 'east', not of 'west'
        hint: keep each cluster's config in a directory of its own, or remove the lock file if the cluster was renamed
        ");
    }

    #[test]
    fn a_lock_file_that_cannot_be_used_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().join("kubexm.lock")).unwrap();
        let said = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = Lock::read(&path).unwrap_err();
            let message = error
                .to_string()
                .replace(dir.path().to_str().unwrap(), "DIR");
            format!("{message}\nhint: {}", error.hint().unwrap())
        };
        insta::assert_snapshot!(said("{"), @r"
        DIR/kubexm.lock is not a lock file of kubexm: EOF while parsing an object at line 1 column 1
        hint: take it back from version control, or delete it: the next bundle writes it anew
        ");
        insta::assert_snapshot!(said(r#"{"format": 0}"#), @r"
        DIR/kubexm.lock is not a lock file of kubexm: there is no format 0
        hint: take it back from version control, or delete it: the next bundle writes it anew
        ");
        insta::assert_snapshot!(said(r#"{"format": 9, "more": 1}"#), @r"
        DIR/kubexm.lock has format 9; this kubexm knows formats up to 1
        hint: use the kubexm that wrote it, or a newer one
        ");
    }
}
