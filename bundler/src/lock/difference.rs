//! Where a lock file and what a config asks for part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cluster::Arch;

use super::{Lock, Outdated};
use crate::packages::PackageRequest;
use crate::resolve::{Wanted, WantedFile};

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
    SystemOutdated {
        system: String,
        why: Outdated,
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
            Self::SystemOutdated { system, why } => write!(f, "packages of {system}: {why}"),
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

impl Lock {
    /// Every point where this lock and what is wanted part, sorted.
    #[must_use]
    pub(crate) fn differences(
        &self,
        wanted: &Wanted,
        requests: &[PackageRequest],
    ) -> Vec<Difference> {
        let mut differences = self.differences_of_systems(wanted, requests);
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
        let images: BTreeMap<&str, &BTreeSet<Arch>> = wanted
            .images
            .iter()
            .map(|image| (image.reference.as_str(), &image.arches))
            .collect();
        for (reference, arches) in &images {
            let Some(locked) = self.images.get(*reference) else {
                differences.push(Difference::ImageNotLocked {
                    reference: (*reference).to_owned(),
                });
                continue;
            };
            let platforms: BTreeSet<Arch> = locked.platforms.iter().map(|p| p.arch).collect();
            if platforms != **arches {
                differences.push(Difference::Platforms {
                    reference: (*reference).to_owned(),
                    locked: platforms.into_iter().collect(),
                    wanted: arches.iter().copied().collect(),
                });
            }
        }
        for reference in self.images.keys() {
            if !images.contains_key(reference.as_str()) {
                differences.push(Difference::ImageNotWanted {
                    reference: reference.clone(),
                });
            }
        }
        differences.sort();
        differences
    }

    fn differences_of_systems(
        &self,
        wanted: &Wanted,
        requests: &[PackageRequest],
    ) -> Vec<Difference> {
        let mut differences = Vec::new();
        for request in requests {
            let system = request.key();
            match self.systems.get(&system) {
                None => differences.push(Difference::SystemNotLocked { system }),
                Some(locked) => {
                    let outdated = locked.outdated(request);
                    let outdated = outdated.map(|why| Difference::SystemOutdated { system, why });
                    differences.extend(outdated);
                }
            }
        }
        let resting: BTreeSet<&String> = self
            .resting_systems(requests, &wanted.arches)
            .map(|(system, _)| system)
            .collect();
        let kept = |system: &String| {
            resting.contains(system) || requests.iter().any(|request| request.key() == *system)
        };
        let dropped = self.systems.keys().filter(|system| !kept(system));
        differences.extend(dropped.map(|system| Difference::SystemNotWanted {
            system: system.clone(),
        }));
        differences
    }
}
