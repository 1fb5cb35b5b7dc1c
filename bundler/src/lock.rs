//! `kubexm.lock`: what a bundle was made of, so that the next one is made of the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;

use artifact::{PlatformEntry, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;
use serde::{Deserialize, Serialize};

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
    /// By address.
    pub files: BTreeMap<String, LockedFile>,
    /// By reference.
    pub images: BTreeMap<String, LockedImage>,
}

/// A file of upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    pub component: String,
    pub version: String,
    pub arch: Arch,
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

/// A file as a config asks for it, in the words of the lock file.
#[derive(Clone, Debug)]
pub struct WantedFile<'a> {
    pub title: &'a str,
    pub url: &'a str,
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            format: FORMAT,
            files: BTreeMap::new(),
            images: BTreeMap::new(),
        }
    }
}

impl Lock {
    #[must_use]
    pub fn new(
        files: impl Iterator<Item = (String, LockedFile)>,
        images: impl Iterator<Item = (String, LockedImage)>,
    ) -> Self {
        Self {
            format: FORMAT,
            files: files.collect(),
            images: images.collect(),
        }
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
        let dir = path
            .parent()
            .filter(|dir| !dir.as_str().is_empty())
            .unwrap_or(Utf8Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".kubexm.lock-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(dir)
            .map_err(error)?;
        file.write_all(text.as_bytes()).map_err(error)?;
        file.as_file().sync_all().map_err(error)?;
        file.persist(path).map_err(|e| error(e.error))?;
        Ok(())
    }

    /// Every point where this lock and what is wanted part, sorted.
    #[must_use]
    pub fn differences(
        &self,
        files: &[WantedFile<'_>],
        images: &BTreeSet<&str>,
        arches: &BTreeSet<Arch>,
    ) -> Vec<Difference> {
        let wanted: BTreeSet<&str> = files.iter().map(|file| file.url).collect();
        let mut differences = Vec::new();
        for file in files
            .iter()
            .filter(|file| !self.files.contains_key(file.url))
        {
            differences.push(Difference::FileNotLocked {
                title: file.title.to_owned(),
                url: file.url.to_owned(),
            });
        }
        for (url, file) in self
            .files
            .iter()
            .filter(|(url, _)| !wanted.contains(url.as_str()))
        {
            let title = format!("{} {} for {}", file.component, file.version, file.arch);
            differences.push(Difference::FileNotWanted {
                title,
                url: url.clone(),
            });
        }
        for reference in images {
            let Some(locked) = self.images.get(*reference) else {
                differences.push(Difference::ImageNotLocked {
                    reference: (*reference).to_owned(),
                });
                continue;
            };
            let platforms: BTreeSet<Arch> = locked.platforms.iter().map(|p| p.arch).collect();
            if platforms != *arches {
                differences.push(Difference::Platforms {
                    reference: (*reference).to_owned(),
                    locked: platforms.into_iter().collect(),
                    wanted: arches.iter().copied().collect(),
                });
            }
        }
        for reference in self
            .images
            .keys()
            .filter(|reference| !images.contains(reference.as_str()))
        {
            differences.push(Difference::ImageNotWanted {
                reference: reference.clone(),
            });
        }
        differences.sort();
        differences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Lock {
        let mut lock = Lock::default();
        for name in ["b", "a"] {
            lock.files.insert(
                format!("https://example.com/{name}"),
                LockedFile {
                    component: name.to_owned(),
                    version: "v1.2.3".to_owned(),
                    arch: Arch::Amd64,
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

    #[test]
    fn each_difference_is_named() {
        let files = [
            WantedFile {
                title: "a v1.2.3 for amd64",
                url: "https://example.com/a",
            },
            WantedFile {
                title: "c v1.0.0 for amd64",
                url: "https://example.com/c",
            },
        ];
        let images = BTreeSet::from(["example.com/app:1", "example.com/new:1"]);
        let differences = example().differences(&files, &images, &BTreeSet::from(Arch::ALL));
        let error = LockError::Differs {
            path: "kubexm.lock".into(),
            differences,
        };
        insta::assert_snapshot!(error.to_string(), @r"
        kubexm.lock does not fit the config:
          c v1.0.0 for amd64 is wanted and not locked: https://example.com/c
          b v1.2.3 for amd64 is locked and not wanted: https://example.com/b
          image example.com/new:1 is wanted and not locked
          image example.com/app:1 is wanted for amd64, arm64 and locked for amd64
        ");
        let files = [
            WantedFile {
                title: "a",
                url: "https://example.com/a",
            },
            WantedFile {
                title: "b",
                url: "https://example.com/b",
            },
        ];
        let images = BTreeSet::from(["example.com/app:1"]);
        assert_eq!(
            example().differences(&files, &images, &BTreeSet::from([Arch::Amd64])),
            []
        );
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
        insta::assert_snapshot!(said(r#"{"format": 9, "more": 1}"#), @r"
        DIR/kubexm.lock has format 9; this kubexm knows formats up to 1
        hint: use the kubexm that wrote it, or a newer one
        ");
    }
}
