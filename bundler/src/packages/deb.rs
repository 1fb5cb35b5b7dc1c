//! Packages of a system of Debian's kind.

use std::collections::BTreeMap;

use catalogue::{Archive, DebBase};
use jiff::Timestamp;
use packages::answer;
use packages::deb::{BaseRule, IndexFile, Universe, resolve};
use packages::openpgp::Keyring;
use packages::solve::{self, Unsatisfiable};

use super::index::{Indexes, Listed, sha256};
use super::release::{self, Signed};
use super::{Answer, Place, answered};
use crate::bundle::on_thread;
use crate::error::BundleError;

/// A suite of an archive.
struct Suite<'a> {
    archive: &'a Archive,
    /// The address of its directory.
    at: String,
}

/// An index of packages, and where it is from.
struct Index<'a> {
    file: IndexFile,
    /// The archive that its packages lie in.
    archive: &'a Archive,
    listed: Listed,
}

pub(super) async fn choose(
    indexes: &Indexes<'_>,
    archives: &[&Archive],
    base: &DebBase,
    keyring: Keyring,
    now: Timestamp,
) -> Result<Answer, BundleError> {
    let suites: Vec<Suite<'_>> = archives
        .iter()
        .flat_map(|archive| {
            let suites = archive.suites.iter();
            suites.map(move |suite| Suite {
                archive,
                at: format!("{}/dists/{suite}", archive.at),
            })
        })
        .collect();
    let (mut listed, mut dates) = (Vec::new(), BTreeMap::new());
    for suite in &suites {
        let signed = release::fetch(indexes, &suite.at, &keyring, now).await?;
        dates.insert(suite.at.clone(), signed.release.date);
        listed.extend(suite.indexes(indexes, &signed)?);
    }
    let stored = indexes
        .listed(listed.iter().map(|index| &index.listed))
        .await?;

    let mut universe = Universe::new(indexes.request.arch.go());
    for (source, (index, stored)) in listed.iter().zip(stored).enumerate() {
        let file = index.file.clone();
        let read = on_thread(move || {
            universe
                .read(&file, stored.as_slice(), source)
                .map(|()| universe)
        });
        universe = read
            .await
            .map_err(|error| indexes.untrusted(&index.listed.url, &error, error.hint()))?;
    }
    let (names, wishes) = indexes.wishes(|name, by| universe.wish(&relation(name), by))?;
    let own = indexes.named(&names, &wishes);
    let rule = BaseRule {
        priorities: base.priorities.clone(),
        names: base.names.clone(),
    };
    let solved = on_thread(move || -> Result<answer::Answer, Unsatisfiable> {
        let base = universe.base(&rule)?;
        let base = solve::without(&universe, &base, &own);
        resolve(&universe, &base, &wishes)
    });
    let answer = solved
        .await
        .map_err(|error| indexes.request.fails(error.into()))?;
    let places: Vec<Place> = listed.iter().map(Index::place).collect();
    Ok(Answer {
        dates,
        ..answered(indexes, &places, names, answer)?
    })
}

impl Index<'_> {
    fn place(&self) -> Place {
        Place {
            at: self.archive.at.clone(),
            index: self.listed.by.clone(),
        }
    }
}

/// `name=version`, as apt-get takes it, in the words of a package's relations.
fn relation(name: &str) -> String {
    match name.split_once('=') {
        Some((name, version)) => format!("{name} (= {version})"),
        None => name.to_owned(),
    }
}

impl<'a> Suite<'a> {
    /// The indexes that a signed release names.
    fn indexes(
        &self,
        indexes: &Indexes<'_>,
        signed: &Signed,
    ) -> Result<Vec<Index<'a>>, BundleError> {
        let Signed { url, release } = signed;
        let arch = indexes.request.arch.go();
        let components = self.archive.components.iter();
        components
            .map(|component| {
                let file = release
                    .index(component, arch)
                    .map_err(|error| indexes.unusable(url, &error, error.hint()))?;
                let listed = Listed {
                    url: format!("{}/{}", self.at, file.path),
                    sha256: sha256(indexes, url, &file.checksum.sha256)?,
                    size: Some(file.checksum.size),
                    by: url.clone(),
                };
                Ok(Index {
                    file,
                    archive: self.archive,
                    listed,
                })
            })
            .collect()
    }
}
