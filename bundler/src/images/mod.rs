//! Images over the OCI protocol, into one OCI layout.
//!
//! Two steps, because what will travel is shown before it does: [`Images::resolve`] asks what each reference means and
//! reads its manifests, [`Images::copy`] brings the blobs and names the images in `index.json`. Of an index only the
//! wanted platforms are kept, in an index of our own, and upstream's beside it as a blob, since signatures are made over it; where the reference names a digest the index stays as it is, and
//! then all of it is copied, since registries refuse an index whose parts are missing.

mod blobs;
mod document;
mod error;
mod layout;
mod registry;
mod resolve;
mod select;
mod source;
#[cfg(test)]
mod tests;
mod unit;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use artifact::{ImageEntry, Sha256};
use camino::Utf8Path;
use cluster::Arch;
use event::Events;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

pub use error::{Account, ImageError};
pub use layout::{Pruned, prune};
pub use registry::{RegistryAccess, Transport};
pub use resolve::ResolvedImage;

use crate::fetch::{Change, HttpOptions};
use crate::mirror::Mirrors;
use blobs::Blobs;
pub(crate) use document::parts_of;
pub(crate) use registry::Registries;

use document::RunsOn;
use layout::Layout;
use unit::{Reported, outcome};

/// The stage that copied images are reported under.
pub const STAGE: &str = "images";

/// The stage of finding out what references mean.
pub const RESOLVE_STAGE: &str = "resolve";

/// An image that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageJob {
    /// As somebody wrote it: `busybox`, `registry.k8s.io/pause:3.10`.
    pub reference: String,
    /// Who asks for it.
    pub wanted_by: Vec<String>,
    /// The architectures that it must have.
    pub arches: BTreeSet<Arch>,
}

/// How images are copied.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// How many images, and how many blobs, at a time.
    pub jobs: usize,
    pub mirrors: Mirrors,
    pub http: HttpOptions,
    /// By registry host, as it stands in references.
    pub access: BTreeMap<String, RegistryAccess>,
}

/// An image in the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedImage {
    pub entry: ImageEntry,
    /// The digest that the registry has for the reference: what a lock file pins.
    pub upstream: Sha256,
    /// Whether any byte of it had to come.
    pub change: Change,
}

/// Everything that could not be copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", list(.0))]
pub struct ImageFailures(pub Vec<ImageFailure>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{image}: {error}")]
pub struct ImageFailure {
    pub image: String,
    /// Empty where it is not an image that fails.
    pub wanted_by: Vec<String>,
    pub error: ImageError,
}

impl ImageFailures {
    /// Whether the person stopped it; whatever else failed is told all the same.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.0
            .iter()
            .any(|failure| failure.error == ImageError::Interrupted)
    }
}

fn list(failures: &[ImageFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Copies images into one layout.
pub struct Images {
    blobs: Blobs,
    registries: Registries,
    jobs: usize,
}

impl Images {
    #[must_use]
    pub fn new(layout: &Utf8Path, options: ImageOptions) -> Self {
        let jobs = options.jobs.max(1);
        Self {
            blobs: Blobs::of(Layout::at(layout), jobs),
            registries: Registries::new(options.mirrors, options.http, options.access),
            jobs,
        }
    }

    /// How many bytes are not in the layout yet; a blob that several images share counts once.
    #[must_use]
    pub fn missing(&self, images: &[ResolvedImage]) -> u64 {
        let mut seen = HashSet::new();
        let blobs = images.iter().flat_map(|image| &image.blobs);
        blobs
            .filter(|blob| seen.insert(blob.digest) && !self.blobs.layout.holds(blob))
            .map(|blob| blob.size)
            .sum()
    }

    /// Brings every blob of these images, and makes them the images of the layout: those and no others. Sorted by
    /// reference. Blobs that nothing leads to any more stay until [`prune`].
    pub async fn copy(
        &self,
        images: Vec<ResolvedImage>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Vec<CopiedImage>, ImageFailures> {
        let outcomes: Vec<_> = futures::stream::iter(images)
            .map(|image| async move {
                match self.unit(&image, events, cancel).await {
                    Ok(change) => Ok((image, change)),
                    Err(error) => Err(image.failed(error)),
                }
            })
            .buffer_unordered(self.jobs)
            .collect()
            .await;
        let images = sorted(outcomes)?;
        let named = images
            .iter()
            .map(|(image, _)| (image.named.reference.clone(), image.named.clone()));
        let finished = self.blobs.layout.finish(&named.collect());
        finished.map_err(|error| {
            let image = "index.json".to_owned();
            ImageFailures(vec![ImageFailure {
                image,
                wanted_by: Vec::new(),
                error: error.into(),
            }])
        })?;
        let mut copied: Vec<CopiedImage> = images
            .into_iter()
            .map(|(image, change)| image.into_copied(change))
            .collect();
        copied.sort_by(|a, b| a.entry.reference.cmp(&b.entry.reference));
        Ok(copied)
    }

    async fn unit(
        &self,
        image: &ResolvedImage,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Change, ImageError> {
        let total = image.blobs.iter().map(|blob| blob.size).sum();
        let title = format!("copy {}", image.named.reference);
        let unit = Reported {
            stage: STAGE,
            title,
            bytes: Some(total),
        };
        unit.run(events, cancel, |watch| async move {
            let progress = events.progress(watch.unit, Some(total));
            let retry = self.registries.retry();
            let travels: Vec<_> = futures::stream::iter(&image.blobs)
                .map(|blob| {
                    self.blobs
                        .ensure(blob, &image.source, &watch, retry, &progress)
                })
                .buffer_unordered(self.jobs)
                .collect()
                .await;
            let mut change = image.change;
            for travelled in travels {
                if travelled? == Change::Downloaded {
                    change = Change::Downloaded;
                }
            }
            self.check_configs(image, events)?;
            Ok((change, outcome(change)))
        })
        .await
    }

    /// Some images are published with another architecture's programs inside.
    fn check_configs(&self, image: &ResolvedImage, events: &Events) -> Result<(), ImageError> {
        for (arch, config) in &image.configs {
            let Some(config) = self.blobs.layout.read(config) else {
                continue;
            };
            let runs_on = RunsOn::read(&config)?;
            if !runs_on.is(*arch) {
                events.warn(
                    format!(
                        "{}: the image for linux/{arch} says of itself that it is for {}",
                        image.named.reference,
                        runs_on.platform()
                    ),
                    Some("its publisher may have mixed them up; try it on such a machine"),
                );
            }
        }
        Ok(())
    }
}

/// All results, or all failures.
fn sorted<T>(outcomes: Vec<Result<T, ImageFailure>>) -> Result<Vec<T>, ImageFailures> {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(image) => done.push(image),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort_by(|a, b| a.image.cmp(&b.image));
    if failures.is_empty() {
        Ok(done)
    } else {
        Err(ImageFailures(failures))
    }
}
