use std::collections::{BTreeMap, BTreeSet};

use artifact::{Need, PackageName, Sha256, What};
use catalogue::{Signed, Source, System, Systems};
use cluster::{Arch, Cluster, Os, OsPackage};
use serde::{Deserialize, Serialize};

use super::PackageError;
use crate::error::BundleError;
use crate::resolve::ResolveFailure;

/// What is asked of a system's archives for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageRequest {
    pub os: Os,
    pub arch: Arch,
    pub wishes: Wishes,
    /// Where its packages are, and what kubexm takes for granted of it.
    pub known: Known,
    /// Who wants it, by the name that is asked for.
    wanted_by: BTreeMap<String, Vec<String>>,
}

/// What kubexm knows of a system for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The addresses of its archives, without a slash at the end.
    archives: Vec<String>,
    /// Changes with everything that an answer of the archives rests on beside the wishes.
    pub digest: Sha256,
}

impl Known {
    pub(crate) fn of(system: System<'_>, arch: Arch) -> Self {
        let mut lines = Vec::new();
        let archives: Vec<String> = match system.source(arch) {
            Source::Deb { archives, base } => {
                lines.push(format!("deb {:?} {:?}", base.priorities, base.names));
                for archive in &archives {
                    let (suites, components) = (&archive.suites, &archive.components);
                    lines.push(format!("{} {suites:?} {components:?}", archive.at));
                }
                archives.iter().map(|archive| archive.at.clone()).collect()
            }
            Source::Rpm {
                signed,
                repositories,
                base,
            } => {
                let signed = match signed {
                    Signed::Metadata => "metadata",
                    Signed::Packages => "packages",
                };
                lines.push(format!("rpm {signed} {base:?} {repositories:?}"));
                repositories
            }
        };
        lines.extend(system.keys().map(str::to_owned));
        Self {
            archives,
            digest: Sha256::of(lines.join("\n").as_bytes()),
        }
    }

    /// Whether an address is one of its archives'.
    pub(crate) fn has(&self, url: &str) -> bool {
        let below = |at: &String| url.strip_prefix(at.as_str())?.strip_prefix('/');
        let mut paths = self.archives.iter().filter_map(below);
        paths.any(|path| {
            let plain = |part: &str| !matches!(part, "" | "." | "..");
            path.split('/').all(plain) && !path.contains(['?', '#', '\\'])
        })
    }
}

/// The packages that somebody wants, by the names that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// For what kubexm itself needs.
    pub names: BTreeMap<OsPackage, Vec<String>>,
    /// Those of the config.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub named: BTreeSet<String>,
}

impl PackageRequest {
    /// How it is called in the lock file: `debian-13/amd64`.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.os, self.arch)
    }

    /// Each name that is asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted_by.keys().map(String::as_str)
    }

    /// Who wants it.
    pub(crate) fn wanted_by(&self, name: &str) -> &[String] {
        self.wanted_by.get(name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn fails(&self, error: PackageError) -> BundleError {
        BundleError::Packages {
            system: format!("{} for {}", self.os, self.arch),
            error: Box::new(error),
        }
    }
}

/// What the needs of an installation ask of each system's archives.
pub(crate) fn requests(
    cluster: &Cluster,
    needs: &[Need],
    arches: &BTreeSet<Arch>,
    systems: &Systems,
) -> Result<Vec<PackageRequest>, ResolveFailure> {
    let mut all: BTreeMap<(&Os, Arch), PackageRequest> = BTreeMap::new();
    for need in needs {
        let What::Package { os, package } = &need.what else {
            continue;
        };
        let system = systems.system(os).ok_or_else(|| unknown(os, systems))?;
        for arch in need.arches(cluster, arches) {
            let request = all.entry((os, arch)).or_insert_with(|| PackageRequest {
                os: os.clone(),
                arch,
                wishes: Wishes::default(),
                known: Known::of(system, arch),
                wanted_by: BTreeMap::new(),
            });
            request.add(system, package, &need.wanted_by);
        }
    }
    Ok(all.into_values().collect())
}

impl PackageRequest {
    fn add(&mut self, system: System<'_>, package: &PackageName, by: &str) {
        let names = match (package, system.source(self.arch)) {
            (PackageName::Known(known), _) => {
                let names = system.names_of(*known).to_vec();
                self.wishes.names.insert(*known, names.clone());
                names
            }
            (PackageName::Deb(name), Source::Deb { .. })
            | (PackageName::Rpm(name), Source::Rpm { .. }) => {
                self.wishes.named.insert(name.clone());
                vec![name.clone()]
            }
            (PackageName::Deb(_) | PackageName::Rpm(_), _) => return,
        };
        for name in names {
            let wanting = self.wanted_by.entry(name).or_default();
            if !wanting.iter().any(|known| known == by) {
                wanting.push(by.to_owned());
            }
        }
    }
}

/// The refusal of a system that is in no table.
pub(crate) fn unknown(os: &Os, systems: &Systems) -> ResolveFailure {
    let known: Vec<String> = systems.names().map(ToString::to_string).collect();
    let (name, os) = (os.name(), os.to_string());
    let distance = |known: &String| strsim::damerau_levenshtein(&os, known);
    let nearest = known
        .iter()
        .filter(|known| known.starts_with(&format!("{name}-")) || distance(known) <= 2)
        .rev()
        .min_by_key(|known| distance(known))
        .cloned();
    ResolveFailure::UnknownSystem { os, nearest, known }
}
