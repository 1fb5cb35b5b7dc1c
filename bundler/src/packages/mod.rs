//! Packages of operating systems: what the config asks of each system, chosen out of its archives' signed indexes, or
//! taken from the lock.

mod deb;
mod error;
mod index;
mod release;
mod repository;
mod request;
mod rpm;

use std::collections::{BTreeMap, BTreeSet};

use artifact::{BasePackage, PackageEntry, PackageFormat, PackageSet, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{Source, System, Systems};
use event::Events;
use jiff::Timestamp;
use packages::openpgp::Keyring;
use packages::rpm::primary::Package;
use tokio_util::sync::CancellationToken;

use crate::bundle::Update;
use crate::error::BundleError;
use crate::fetch::Fetcher;
use crate::lock::{Lock, LockedPackage, LockedSystem, Outdated};

pub use error::PackageError;
use index::Indexes;
pub(crate) use repository::RepositoryBuilder;
pub use request::Wishes;
pub(crate) use request::{PackageRequest, requests, unknown};

/// What an archive answers.
struct Answer {
    packages: Vec<Chosen>,
    base: Vec<BasePackage>,
    /// Each name that was asked for, and the package that meets it.
    met: BTreeMap<String, String>,
    /// When the signed indexes were made, by what they are of.
    dates: BTreeMap<String, Timestamp>,
    /// What the metadata say of packages, by the names of their files.
    claims: Claims,
}

/// What metadata of RPM have claimed of the packages that were chosen just now, by their path in the tree. A locked package
/// was compared when it was locked.
pub(crate) type Claims = BTreeMap<Utf8PathBuf, Package>;

/// A package of an archive.
struct Chosen {
    name: String,
    version: String,
    url: String,
    size: u64,
    sha256: Sha256,
    /// The signed index that says so.
    index: String,
    /// The packages that it requires, carried or of the base.
    needs: BTreeSet<String>,
}

/// Where packages of an answer are from.
struct Place {
    /// What their paths begin at.
    at: String,
    /// The signed index that names them.
    index: String,
}

fn answered(
    indexes: &Indexes<'_>,
    places: &[Place],
    names: Vec<String>,
    answer: packages::answer::Answer,
) -> Result<Answer, BundleError> {
    let packages = answer.packages.into_iter().map(|package| {
        let Place { at, index } = &places[package.source];
        let at = package.at.as_ref().unwrap_or(at);
        Ok(Chosen {
            url: format!("{at}/{}", package.path),
            sha256: index::sha256(indexes, index, &package.sha256)?,
            name: package.name,
            version: package.version,
            size: package.size,
            index: index.clone(),
            needs: package.needs.into_iter().collect(),
        })
    });
    let base = answer.base.into_iter().map(|relied| BasePackage {
        at_least: relied.exactly.or(relied.at_least),
        name: relied.name,
    });
    Ok(Answer {
        packages: packages.collect::<Result<_, BundleError>>()?,
        base: base.collect(),
        met: names.into_iter().zip(answer.wishes).collect(),
        dates: BTreeMap::new(),
        claims: Claims::new(),
    })
}

/// Chooses packages out of archives.
pub(crate) struct Chooser<'a> {
    pub systems: &'a Systems,
    /// Armored keys that are trusted beside those of the table.
    pub keyrings: &'a [String],
    pub update: &'a BTreeSet<Update>,
    pub fetcher: &'a Fetcher,
    pub events: &'a Events,
    pub cancel: &'a CancellationToken,
}

impl Chooser<'_> {
    /// The packages of every system: as locked, where the same was asked for then; otherwise what the archives have now.
    pub(crate) async fn choose(
        &self,
        all: &[PackageRequest],
        lock: &Lock,
    ) -> Result<(Vec<LockedSystem>, Claims), BundleError> {
        let (mut chosen, mut claims) = (Vec::new(), Claims::new());
        for request in all {
            let before = lock.systems.get(&request.key());
            let outdated = before.and_then(|locked| locked.outdated(request));
            let system = match (before, &outdated) {
                (Some(locked), None) if !self.update.contains(&Update::Systems) => locked.clone(),
                _ => {
                    if let Some(why) = outdated.filter(|why| *why != Outdated::Wishes) {
                        let system = request.key();
                        self.events
                            .note(format!("packages of {system} are chosen anew: {why}"));
                    }
                    let (system, claimed) = self.solve(request, before).await?;
                    claims.extend(claimed);
                    system
                }
            };
            chosen.push(system);
        }
        Ok((chosen, claims))
    }

    async fn solve(
        &self,
        request: &PackageRequest,
        before: Option<&LockedSystem>,
    ) -> Result<(LockedSystem, Claims), BundleError> {
        let system = self
            .systems
            .system(&request.os)
            .expect("what is asked for is known");
        let keyring = keyring(system, self.keyrings, request)?;
        let indexes = Indexes::new(self, request, before)?;
        let now = Timestamp::now();
        let (format, mut answer) = match system.source(request.arch) {
            Source::Deb { archives, base } => (
                PackageFormat::Deb,
                deb::choose(&indexes, &archives, base, keyring, now).await?,
            ),
            Source::Rpm {
                signed,
                repositories,
                base,
            } => (
                PackageFormat::Rpm,
                rpm::choose(&indexes, signed, &repositories, base, keyring, now).await?,
            ),
        };
        let claims = std::mem::take(&mut answer.claims);
        let system = locked(request, format, answer);
        // Names of files are the archive's.
        system.check(&request.key()).map_err(|error| {
            request.fails(PackageError::Unusable {
                at: "the archive".to_owned(),
                cause: error.to_string(),
                hint: None,
            })
        })?;
        let directory = PackageSet::directory(&request.os, request.arch);
        let placed = claims.into_iter();
        let claims = placed.map(|(name, claim)| (directory.join(name), claim));
        Ok((system, claims.collect()))
    }
}

/// The keys that a system's archives may be signed with.
fn keyring<'a>(
    system: System<'a>,
    more: &'a [String],
    request: &PackageRequest,
) -> Result<Keyring, BundleError> {
    let keys = more.iter().map(String::as_str).chain(system.keys());
    Keyring::from_armored(keys)
        .map_err(|error| request.fails(PackageError::Keyring(error.to_string())))
}

fn locked(request: &PackageRequest, format: PackageFormat, answer: Answer) -> LockedSystem {
    let Answer {
        packages,
        base,
        met,
        dates,
        claims: _,
    } = answer;
    let directory = PackageSet::directory(&request.os, request.arch);
    let mut files = BTreeMap::new();
    let mut entries = Vec::new();
    for package in packages {
        let name = package.url.rsplit('/').next().unwrap_or(&package.url);
        let path = directory.join(name);
        entries.push(PackageEntry {
            name: package.name,
            version: package.version,
            path: path.clone(),
            needs: package.needs.into_iter().collect(),
        });
        let file = LockedPackage {
            url: package.url,
            size: package.size,
            sha256: package.sha256,
            index: package.index,
        };
        files.insert(path, file);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let meet = |names: &[String]| -> Vec<String> {
        let met: BTreeSet<&String> = names.iter().filter_map(|name| met.get(name)).collect();
        met.into_iter().cloned().collect()
    };
    let known = request.wishes.names.iter();
    let own = request.wishes.named.iter();
    LockedSystem {
        wanted: request.wishes.clone(),
        known: Some(request.known.digest),
        dates,
        set: PackageSet {
            os: request.os.clone(),
            arch: request.arch,
            format,
            names: known
                .map(|(package, names)| (*package, meet(names)))
                .collect(),
            named: own
                .map(|name| (name.clone(), meet(std::slice::from_ref(name))))
                .collect(),
            packages: entries,
            base,
        },
        files,
    }
}

/// How a package is called in front of people: `conntrack 1.4.8-2 of debian-13 for amd64`.
pub(crate) fn title(set: &PackageSet, path: &Utf8Path) -> String {
    let PackageSet { os, arch, .. } = set;
    let mut packages = set.packages.iter();
    match packages.find(|entry| entry.path == path) {
        Some(PackageEntry { name, version, .. }) => format!("{name} {version} of {os} for {arch}"),
        None => format!("{path} of {os} for {arch}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_has_keys_that_may_sign() {
        let systems = Systems::builtin();
        for os in systems.names() {
            let keyring = Keyring::from_armored(systems.system(os).unwrap().keys());
            assert!(keyring.is_ok(), "{os}: {keyring:?}");
        }
        let openeuler = systems.system(&"openeuler-24.03".parse().unwrap()).unwrap();
        let keyring = Keyring::from_armored(openeuler.keys()).unwrap();
        // EulerMaker's, and the subkey that it signs packages with.
        assert_eq!(keyring.ids(), ["3B477C60B675600B", "007FB747FB37BC6F"]);
    }
}
