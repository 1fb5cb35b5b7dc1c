//! What a bundle will hold, as a table for people and machines.

use cluster::{Arch, Os, Version};
use serde::Serialize;

use crate::hops::Hop;
use crate::lock::{Lock, LockedSystem};
use crate::packages::PackageRequest;
use crate::resolve::Wanted;

/// What a bundle will hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub cluster: String,
    pub arches: Vec<Arch>,
    /// The versions of Kubernetes, in order.
    pub releases: Vec<Version>,
    /// Files by path, then images by reference, then packages by system and name.
    pub rows: Vec<Row>,
}

/// One file, image or package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub kind: RowKind,
    /// Of a package, the operating system that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Os>,
    /// The component, the image's repository, or the package.
    pub name: String,
    /// The version, tag or digest.
    pub version: String,
    pub arches: Vec<Arch>,
    /// Where that is known before it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    pub wanted_by: Vec<String>,
    /// The releases that it belongs to. Packages belong to none by itself.
    pub releases: Vec<Version>,
    /// The address, or the reference.
    pub origin: String,
    pub pin: Pin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    File,
    Image,
    Package,
}

/// What a row will be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pin {
    /// The lock file holds its digest.
    Locked,
    /// Upstream publishes its digest.
    Published,
    /// The first bundle takes what comes, and records it.
    FirstSeen,
}

impl Plan {
    /// The sizes that are known, added up, and whether that is all of them.
    #[must_use]
    pub fn size(&self) -> (u64, Extent) {
        let known = self
            .rows
            .iter()
            .filter_map(|row| row.size)
            .fold(0, u64::saturating_add);
        let whole = self.rows.iter().all(|row| row.size.is_some());
        (
            known,
            if whole {
                Extent::Whole
            } else {
                Extent::AtLeast
            },
        )
    }

    /// With the packages of systems, in the order of what was asked for.
    pub(crate) fn with_packages(
        mut self,
        requests: &[PackageRequest],
        systems: &[LockedSystem],
        lock: &Lock,
    ) -> Self {
        for (request, system) in requests.iter().zip(systems) {
            let pin = match lock.systems.get(&request.key()) {
                Some(locked) if locked == system => Pin::Locked,
                _ => Pin::Published,
            };
            self.rows
                .extend(system.set.packages.iter().filter_map(|package| {
                    let file = system.files.get(&package.path)?;
                    Some(Row {
                        kind: RowKind::Package,
                        system: Some(system.set.os.clone()),
                        name: package.name.clone(),
                        version: package.version.clone(),
                        arches: vec![system.set.arch],
                        size: Some(file.size),
                        wanted_by: request.wanted_by(&package.name).to_vec(),
                        releases: Vec::new(),
                        origin: file.url.clone(),
                        pin,
                    })
                }));
        }
        self
    }

    pub(crate) fn of(
        cluster: &str,
        (hops, wanted): (&[Hop], &Wanted),
        lock: &Lock,
        size_of_file: impl Fn(&str) -> Option<u64>,
        size_of_image: impl Fn(&str) -> Option<u64>,
    ) -> Self {
        let all: Vec<Arch> = wanted.arches.iter().copied().collect();
        let for_whom = |arch: Option<Arch>| arch.map_or_else(|| all.clone(), |arch| vec![arch]);
        let of_releases = |holds: &dyn Fn(&Wanted) -> bool| -> Vec<Version> {
            let hops = hops.iter().filter(|hop| holds(&hop.wanted));
            hops.map(|hop| hop.version().clone()).collect()
        };
        let with_file =
            |path: &str| of_releases(&|of| of.files.iter().any(|file| file.file.path == path));
        let with_image =
            |name: &str| of_releases(&|of| of.images.iter().any(|image| image.reference == name));
        let files = wanted.files.iter().map(|wanted| Row {
            kind: RowKind::File,
            system: None,
            name: wanted.file.component.clone(),
            version: wanted.file.version.to_string(),
            arches: for_whom(wanted.file.arch),
            size: size_of_file(&wanted.file.url),
            wanted_by: wanted.wanted_by.clone(),
            releases: with_file(&wanted.file.path),
            origin: wanted.file.url.clone(),
            pin: if lock.files.contains_key(&wanted.file.url) {
                Pin::Locked
            } else if wanted.file.checksum == catalogue::Checksum::Unpublished {
                Pin::FirstSeen
            } else {
                Pin::Published
            },
        });
        let images = wanted.images.iter().map(|image| {
            let locked = lock.images.get(&image.reference);
            let (name, version) = split(&image.reference);
            Row {
                kind: RowKind::Image,
                system: None,
                name: name.to_owned(),
                version: version.to_owned(),
                arches: wanted.arches.iter().copied().collect(),
                size: size_of_image(&image.reference),
                wanted_by: image.wanted_by.clone(),
                releases: with_image(&image.reference),
                origin: image.reference.clone(),
                pin: match locked {
                    Some(_) => Pin::Locked,
                    None if image.reference.contains('@') => Pin::Published,
                    None => Pin::FirstSeen,
                },
            }
        });
        Self {
            cluster: cluster.to_owned(),
            arches: wanted.arches.iter().copied().collect(),
            releases: hops.iter().map(|hop| hop.version().clone()).collect(),
            rows: files.chain(images).collect(),
        }
    }
}

/// Whether a sum covers everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    AtLeast,
}

/// Repository, and tag or digest.
fn split(reference: &str) -> (&str, &str) {
    reference
        .split_once('@')
        .or_else(|| reference.rsplit_once(':'))
        .unwrap_or((reference, ""))
}
