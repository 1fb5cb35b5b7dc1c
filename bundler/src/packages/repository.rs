//! Packages in the tree: judged once more where only they are signed, and made into a repository.

use std::fs::File;
use std::io::BufReader;

use artifact::{FileEntry, PackageFormat, PackageSet, Tree};
use camino::Utf8Path;
use catalogue::{Signed, Source, Systems};
use jiff::Timestamp;
use packages::rpm::claims::{self, ClaimError};
use packages::rpm::header::{HeaderError, PackageFile};
use packages::{deb, rpm};

use super::{Claims, PackageError, PackageRequest, keyring};
use crate::bundle::write;
use crate::error::BundleError;
use crate::lock::{LockedPackage, LockedSystem};

/// Takes packages into a bundle.
pub(crate) struct RepositoryBuilder<'a> {
    pub systems: &'a Systems,
    /// Armored keys that are trusted beside those of the table.
    pub keyrings: &'a [String],
    pub claims: &'a Claims,
    pub tree: &'a Tree,
}

impl RepositoryBuilder<'_> {
    /// The files of a system: its packages, and the index that makes a repository of them, which is written here. It is
    /// made from the packages alone, so the same packages have the same index.
    pub(crate) fn entries(
        &self,
        request: &PackageRequest,
        system: &LockedSystem,
    ) -> Result<Vec<FileEntry>, BundleError> {
        let index = match system.set.format {
            PackageFormat::Deb => self.deb_index(request, system)?,
            PackageFormat::Rpm => {
                self.judge(request, system)?;
                self.rpm_index(request, system)?
            }
        };
        let arch = Some(system.set.arch);
        let directory = PackageSet::directory(&system.set.os, system.set.arch);
        let mut entries: Vec<FileEntry> = system
            .set
            .packages
            .iter()
            .filter_map(|package| {
                let file = system.files.get(&package.path)?;
                Some(FileEntry {
                    version: Some(package.version.clone()),
                    arch,
                    origin: Some(file.url.clone()),
                    checksum_from: Some(file.index.clone()),
                    ..FileEntry::new(package.path.clone(), file.size, 0o644, file.sha256)
                })
            })
            .collect();
        for (name, bytes) in index {
            let path = directory.join(name);
            let written = write::bytes(&self.tree.path(&path), &bytes, 0o644)?;
            entries.push(FileEntry {
                arch,
                ..FileEntry::new(path, written.size, 0o644, written.sha256)
            });
        }
        Ok(entries)
    }

    fn deb_index(
        &self,
        request: &PackageRequest,
        system: &LockedSystem,
    ) -> Result<Vec<(String, Vec<u8>)>, BundleError> {
        let mut members = Vec::new();
        for path in system.files.keys() {
            let deb = deb::control::Deb::read(BufReader::new(self.open(path)?));
            members.push(deb::repository::Member {
                file: path.file_name().unwrap_or_default().to_owned(),
                deb: deb.map_err(|error| unusable(request, path, &error, None))?,
            });
        }
        let packages = deb::repository::packages(&members);
        let release = deb::repository::release(&packages);
        Ok([("Packages", packages), ("Release", release)]
            .map(|(name, text)| (name.to_owned(), text.into_bytes()))
            .into())
    }

    fn rpm_index(
        &self,
        request: &PackageRequest,
        system: &LockedSystem,
    ) -> Result<Vec<(String, Vec<u8>)>, BundleError> {
        let directory = PackageSet::directory(&system.set.os, system.set.arch);
        let malformed = |error: HeaderError| unusable(request, &directory, &error, error.hint());
        let mut carried = Vec::new();
        for path in system.files.keys() {
            let name = path.file_name().unwrap_or_default();
            carried.push(PackageFile::read(name, self.open(path)?).map_err(malformed)?);
        }
        let files = rpm::repository::index(&carried).map_err(malformed)?;
        Ok(files
            .into_iter()
            .map(|file| (file.path.to_owned(), file.bytes))
            .collect())
    }

    /// Where a distribution signs its packages alone, nothing else has vouched for them so far.
    fn judge(&self, request: &PackageRequest, system: &LockedSystem) -> Result<(), BundleError> {
        let known = self
            .systems
            .system(&request.os)
            .expect("what is asked for is known");
        let Source::Rpm {
            signed: Signed::Packages,
            ..
        } = known.source(request.arch)
        else {
            return Ok(());
        };
        let keyring = keyring(known, self.keyrings, request)?;
        for (path, package) in &system.files {
            let name = path.file_name().unwrap_or_default();
            let file = BufReader::new(self.open(path)?);
            rpm::header::verify(name, file, &keyring, Timestamp::now()).map_err(|error| {
                request.fails(PackageError::Untrusted {
                    at: package.url.clone(),
                    cause: error.to_string(),
                    hint: error.hint().map(str::to_owned),
                })
            })?;
            self.compare(request, system, path, package)?;
        }
        Ok(())
    }

    /// A signed package says of itself what it is. It has to be the one that was chosen, and what was said of it then has
    /// to be true: nobody has signed that.
    fn compare(
        &self,
        request: &PackageRequest,
        system: &LockedSystem,
        path: &Utf8Path,
        package: &LockedPackage,
    ) -> Result<(), BundleError> {
        let name = path.file_name().unwrap_or_default();
        let untrusted = |error: &ClaimError| {
            request.fails(PackageError::Untrusted {
                at: package.url.clone(),
                cause: error.to_string(),
                hint: Some(error.hint().to_owned()),
            })
        };
        let file = PackageFile::read(name, self.open(path)?)
            .map_err(|error| unusable(request, path, &error, error.hint()))?;
        let listed = system.set.packages.iter().find(|one| one.path == *path);
        if let Some(listed) = listed {
            let arch = system.set.arch.uname();
            claims::is(&file, &listed.name, &listed.version, arch).map_err(|e| untrusted(&e))?;
        }
        match self.claims.get(path) {
            Some(claimed) => claims::hold(claimed, &file).map_err(|e| untrusted(&e)),
            None => Ok(()),
        }
    }

    fn open(&self, path: &Utf8Path) -> Result<File, BundleError> {
        let path = self.tree.path(path);
        File::open(&path).map_err(|e| BundleError::io("read", path, &e))
    }
}

fn unusable(
    request: &PackageRequest,
    path: &Utf8Path,
    cause: &impl ToString,
    hint: Option<&str>,
) -> BundleError {
    request.fails(PackageError::Package {
        file: path.to_string(),
        cause: cause.to_string(),
        hint: hint.map(str::to_owned),
    })
}
