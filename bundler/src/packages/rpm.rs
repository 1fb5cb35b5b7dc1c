//! Packages of a system with RPM.

use std::collections::BTreeSet;
use std::convert::Infallible;

use catalogue::Signed;
use jiff::Timestamp;
use packages::answer;
use packages::openpgp::Keyring;
use packages::rpm::modules::Modules;
use packages::rpm::primary::Package;
use packages::rpm::repomd::{self, Repomd};
use packages::rpm::{MetadataError, Part, Universe, filelists, primary, resolve};
use packages::solve::{self, Unsatisfiable, Wish};

use super::index::{Indexes, Listed, sha256};
use super::{Answer, Place, answered};
use crate::bundle::on_thread;
use crate::error::BundleError;

/// A repository, and what its `repomd.xml` names.
struct Repository {
    at: String,
    repomd: Repomd,
}

pub(super) async fn choose(
    indexes: &Indexes<'_>,
    signed: Signed,
    addresses: &[String],
    base: &[String],
    keyring: Keyring,
    now: Timestamp,
) -> Result<Answer, BundleError> {
    let mut repositories = Vec::new();
    for at in addresses {
        repositories.push(repository(indexes, signed, at, &keyring, now).await?);
    }
    let mut universe = read(indexes, &repositories).await?;
    // The base is solved as the wishes are, and may require files as well.
    let (_, mut wishes) = indexes.wishes(wished(&universe))?;
    wishes.extend(base.iter().map(|name| universe.wish(name, "the base")));
    let unknown = universe.unknown_files(&wishes);
    if !unknown.is_empty() {
        find(indexes, &repositories, &mut universe, &unknown).await?;
    }
    let (names, wishes) = indexes.wishes(wished(&universe))?;
    let own = indexes.named(&names, &wishes);
    let base = base.to_vec();
    let solved = on_thread(
        move || -> Result<(answer::Answer, Vec<Package>), Unsatisfiable> {
            let base = universe.base(&base)?;
            let base = solve::without(&universe, &base, &own);
            let answer = resolve(&universe, &base, &wishes)?;
            let carried = answer.packages.iter();
            let claimed = carried.filter_map(|one| universe.claimed(one)).cloned();
            let claimed = claimed.collect();
            Ok((answer, claimed))
        },
    );
    let (answer, claimed) = solved
        .await
        .map_err(|error| indexes.request.fails(error.into()))?;
    let places: Vec<Place> = repositories.iter().map(Repository::place).collect();
    let answer = answered(indexes, &places, names, answer)?;
    let dates = repositories.iter().filter_map(|repository| {
        let date = repository
            .repomd
            .made()
            .filter(|_| signed == Signed::Metadata);
        Some((repository.at.clone(), date?))
    });
    Ok(Answer {
        claims: claimed
            .into_iter()
            .map(|claim| (file_name(&claim.location).into(), claim))
            .collect(),
        dates: dates.collect(),
        ..answer
    })
}

async fn repository(
    indexes: &Indexes<'_>,
    signed: Signed,
    at: &str,
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Repository, BundleError> {
    let url = format!("{at}/repodata/repomd.xml");
    let document = indexes.document(&url).await?;
    let (judged, signature) = match signed {
        Signed::Metadata => (
            repomd::Signed::Metadata(keyring),
            indexes.present(&format!("{url}.asc")).await?,
        ),
        Signed::Packages => (repomd::Signed::Packages, None),
    };
    let repomd = Repomd::read(
        &document,
        signature.as_deref().map(str::as_bytes),
        judged,
        now,
    )
    .map_err(|error| wrong(indexes, at, &error))?;
    if let (Signed::Metadata, Some(made)) = (signed, repomd.made()) {
        indexes.not_older(at, made)?;
    }
    Ok(Repository {
        at: at.to_owned(),
        repomd,
    })
}

async fn read(indexes: &Indexes<'_>, repositories: &[Repository]) -> Result<Universe, BundleError> {
    let arch = indexes.request.arch.uname();
    let (mut all, mut modular) = (Vec::new(), Vec::new());
    for repository in repositories {
        let part = repository
            .repomd
            .primary()
            .map_err(|error| wrong(indexes, &repository.at, &error))?;
        let mut parts = vec![part.clone()];
        parts.extend(repository.repomd.modules().cloned());
        let listed = parts.iter().map(|part| repository.listed(indexes, part));
        let stored = indexes
            .listed(&listed.collect::<Result<Vec<_>, _>>()?)
            .await?;
        let read = on_thread(move || {
            let packages = primary::read(&parts[0], &stored[0], arch)?;
            let modules = parts.iter().zip(&stored).skip(1);
            let modules = modules.map(|(part, stored)| Modules::read(part, stored));
            Ok((packages, modules.collect::<Result<Vec<_>, _>>()?))
        });
        let (packages, modules) = read
            .await
            .map_err(|error| wrong(indexes, &repository.at, &error))?;
        all.push(packages);
        modular.extend(modules);
    }
    // A stream hides what other repositories have of its names as well.
    for packages in &mut all {
        packages.retain(|package| modular.iter().all(|modules| modules.shows(package)));
    }
    Ok(Universe::new(all))
}

/// Any text may be the name of something that a package provides.
fn wished(universe: &Universe) -> impl Fn(&str, &str) -> Result<Wish, Infallible> {
    |name, by| Ok(universe.wish(&relation(name), by))
}

/// `name=version`, in the words of a package's relations.
fn relation(name: &str) -> String {
    match name.split_once('=') {
        Some((name, version)) => format!("{name} = {version}"),
        None => name.to_owned(),
    }
}

/// Looks the files up that somebody requires and that no primary metadata lists.
async fn find(
    indexes: &Indexes<'_>,
    repositories: &[Repository],
    universe: &mut Universe,
    wanted: &BTreeSet<String>,
) -> Result<(), BundleError> {
    for repository in repositories {
        let part = repository
            .repomd
            .filelists()
            .map_err(|error| wrong(indexes, &repository.at, &error))?;
        let stored = indexes.listed(&[repository.listed(indexes, part)?]).await?;
        let (part, wanted) = (part.clone(), wanted.clone());
        let found = on_thread(move || filelists::read(&part, &stored[0], &wanted));
        let found = found
            .await
            .map_err(|error| wrong(indexes, &repository.at, &error))?;
        universe.add_files(&found);
    }
    Ok(())
}

fn file_name(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or(location)
}

impl Repository {
    fn index(&self) -> String {
        format!("{}/repodata/repomd.xml", self.at)
    }

    fn place(&self) -> Place {
        Place {
            at: self.at.clone(),
            index: self.index(),
        }
    }

    fn listed(&self, indexes: &Indexes<'_>, part: &Part) -> Result<Listed, BundleError> {
        Ok(Listed {
            url: format!("{}/{}", self.at, part.location),
            sha256: sha256(indexes, &self.index(), &part.sha256.to_string())?,
            size: part.size,
            by: self.index(),
        })
    }
}

/// Metadata that nobody vouches for, or that are right and of no use.
fn wrong(indexes: &Indexes<'_>, at: &str, error: &MetadataError) -> BundleError {
    match error {
        MetadataError::Unsigned
        | MetadataError::Signature(_)
        | MetadataError::Checksum { .. }
        | MetadataError::OpenChecksum { .. }
        | MetadataError::TooLarge { .. } => indexes.untrusted(at, error, error.hint()),
        MetadataError::Absent(_)
        | MetadataError::Malformed { .. }
        | MetadataError::Decompress { .. }
        | MetadataError::Compression { .. }
        | MetadataError::Modules { .. } => indexes.unusable(at, error, error.hint()),
    }
}
