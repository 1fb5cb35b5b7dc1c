//! Brings everything of a plan into the tree.

use std::time::Instant;

use artifact::Sha256;
use event::{Event, Events, StageOutcome};
use tokio_util::sync::CancellationToken;

use super::Prepared;
use super::prepare::job;
use crate::error::BundleError;
use crate::fetch::{self, Change, Checksum, FetchError, Fetched, FileJob};
use crate::images::{self, CopiedImage, ResolvedImage};
use crate::lock::{Difference, Lock, LockError, LockMode, LockedAddon, LockedFile, LockedImage};
use crate::packages::{self, PackageRequest};
use crate::resolve::WantedFile;

/// What has come, and what it means.
pub(super) struct Collected {
    pub(super) files: Vec<(WantedFile, LockedFile)>,
    pub(super) images: Vec<CopiedImage>,
    pub(super) lock: Lock,
    /// How many files and images had to come.
    pub(super) fetched: usize,
}

impl Prepared {
    pub(super) async fn fetch(
        &self,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Collected, BundleError> {
        let jobs = self
            .details
            .wanted
            .files
            .iter()
            .map(|wanted| {
                job(
                    wanted,
                    &self.tree,
                    &self.details.lock,
                    self.details.sizes.get(&wanted.file.url).copied(),
                )
            })
            .chain(self.packages())
            .collect::<Result<Vec<_>, _>>()?;
        let details = &self.details;
        let absent =
            |image: &&ResolvedImage| details.images.missing(std::slice::from_ref(*image)) > 0;
        let copied = details.resolved.iter().filter(absent).count();
        let copy = details
            .images
            .copy(details.resolved.clone(), events, cancel);
        let fetch = details.fetcher.fetch_all(jobs, events, cancel);
        let (files, images) = tokio::join!(
            in_stage(events, fetch::STAGE, fetch),
            in_stage(events, images::STAGE, copy)
        );
        let (files, images) = match (files, images) {
            (Ok(files), Ok(images)) => (files, images),
            (files, images) => {
                let (files, images) = (files.err().map(Into::into), images.err().map(Into::into));
                return Err(BundleError::together(files, images));
            }
        };
        let downloaded = files
            .iter()
            .filter(|file| file.change == Change::Downloaded)
            .count();
        let files = self.locked(files, events);
        let lock = self.next_lock(&files, &images);
        if self.request.lock_mode == LockMode::Locked && lock != self.details.lock {
            return Err(self.unlike_lock(&lock));
        }
        let dropped = self.details.lock.dropped(&lock);
        if !dropped.is_empty() {
            events.note(format!(
                "no longer wanted, and dropped from {}: {}",
                self.request.lock,
                dropped.join(", ")
            ));
        }
        Ok(Collected {
            files,
            images,
            lock,
            fetched: downloaded + copied,
        })
    }

    /// The packages of operating systems, as jobs behind those of the files.
    fn packages(&self) -> impl Iterator<Item = Result<FileJob, FetchError>> {
        self.details.systems.iter().flat_map(|system| {
            system.files.iter().map(|(path, package)| {
                Ok(FileJob {
                    title: packages::title(&system.set, path),
                    url: fetch::address(&package.url)?,
                    dest: self.tree.path(path),
                    checksum: Checksum::Listed {
                        sha256: package.sha256,
                        index: package.index.clone(),
                    },
                    size: Some(package.size),
                    limit: package.size,
                })
            })
        })
    }

    fn locked(&self, fetched: Vec<Fetched>, events: &Events) -> Vec<(WantedFile, LockedFile)> {
        let pair = |(wanted, fetched): (&WantedFile, Fetched)| {
            let before = self.details.lock.files.get(&wanted.file.url);
            let published = match before {
                Some(locked) => locked.published.clone(),
                None => fetched.checksum_from,
            };
            if before.is_none() && published.is_none() {
                events.note(format!(
                    "{}: upstream publishes no checksum; {} was recorded in {}",
                    wanted.title(),
                    fetched.sha256.oci(),
                    self.request.lock
                ));
            }
            let locked = LockedFile {
                component: wanted.file.component.clone(),
                version: wanted.file.version.with_v(),
                arch: wanted.file.arch,
                size: fetched.size,
                sha256: fetched.sha256,
                published,
            };
            (wanted.clone(), locked)
        };
        self.details
            .wanted
            .files
            .iter()
            .zip(fetched)
            .map(pair)
            .collect()
    }

    fn next_lock(&self, files: &[(WantedFile, LockedFile)], images: &[CopiedImage]) -> Lock {
        let mut lock = Lock::of(self.request.cluster.name());
        let resting = self.details.lock.resting(&self.details.wanted);
        lock.files
            .extend(resting.map(|(url, locked)| (url.clone(), locked.clone())));
        let came = files
            .iter()
            .map(|(wanted, locked)| (wanted.file.url.clone(), locked.clone()));
        lock.files.extend(came);
        lock.images.extend(images.iter().map(locked_image));
        let (requests, arches) = (&self.details.package_requests, &self.details.wanted.arches);
        let resting = self.details.lock.resting_systems(requests, arches);
        lock.systems
            .extend(resting.map(|(system, locked)| (system.clone(), locked.clone())));
        let systems = requests
            .iter()
            .map(PackageRequest::key)
            .zip(self.details.systems.clone());
        lock.systems.extend(systems);
        let addons = self.details.hops.iter().flat_map(|hop| &hop.addons);
        lock.addons.extend(addons.map(|addon| {
            let locked = LockedAddon {
                origins: addon.objects.origins.clone(),
                sha256: Sha256::of(&addon.objects.to_bytes()),
            };
            (addon.path().to_string(), locked)
        }));
        lock.following(&self.details.lock)
    }

    /// What the lock pins came, and still something in it is not as it was.
    fn unlike_lock(&self, now: &Lock) -> BundleError {
        let before = &self.details.lock;
        let files = now
            .files
            .iter()
            .filter(|(url, file)| before.files.get(*url) != Some(file));
        let images = now
            .images
            .iter()
            .filter(|(name, image)| before.images.get(*name) != Some(image));
        let systems = now
            .systems
            .iter()
            .filter(|(name, system)| before.systems.get(*name) != Some(system));
        let addons = now
            .addons
            .iter()
            .filter(|(place, addon)| before.addons.get(*place) != Some(addon));
        let differences = files
            .map(|(url, _)| url)
            .chain(addons.map(|(place, _)| place))
            .chain(images.map(|(reference, _)| reference))
            .chain(systems.map(|(system, _)| system))
            .map(|what| Difference::Content { what: what.clone() })
            .collect();
        LockError::Differs {
            path: self.request.lock.clone(),
            differences,
        }
        .into()
    }
}

async fn in_stage<T, E>(
    events: &Events,
    stage: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let began = Instant::now();
    events.emit(&Event::StageStarted {
        stage: stage.to_owned(),
    });
    let result = work.await;
    let outcome = if result.is_ok() {
        StageOutcome::Changed
    } else {
        StageOutcome::Failed
    };
    events.emit(&Event::StageFinished {
        stage: stage.to_owned(),
        outcome,
        took: began.elapsed(),
    });
    result
}

fn locked_image(image: &CopiedImage) -> (String, LockedImage) {
    let locked = LockedImage {
        upstream: image.upstream,
        stored: image.entry.digest,
        platforms: image.entry.platforms.clone(),
    };
    (image.entry.reference.clone(), locked)
}
