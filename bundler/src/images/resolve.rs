//! What a reference means: which manifests, which platforms, which blobs.

use std::collections::{BTreeMap, BTreeSet};

use artifact::{ImageEntry, PlatformEntry, Sha256};
use cluster::Arch;
use event::Events;
use futures::StreamExt;
use oci_client::Reference;
use oci_client::manifest::OciImageManifest;
use tokio_util::sync::CancellationToken;

use super::document::{Blob, blobs_of, sha256};
use super::layout::Named;
use super::select::Asking;
use super::source::Source;
use super::unit::{Reported, outcome};
use super::{
    CopiedImage, ImageError, ImageFailure, ImageFailures, ImageJob, Images, RESOLVE_STAGE, sorted,
};
use crate::fetch::Change;

/// An image whose manifests are in the layout, and of which is known what else it takes.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    pub(super) named: Named,
    pub(super) blobs: Vec<Blob>,
    /// The config of each wanted platform.
    pub(super) configs: Vec<(Arch, Sha256)>,
    pub(super) source: Source,
    /// Whether its manifests had to come.
    pub(super) change: Change,
    platforms: Vec<PlatformEntry>,
    wanted_by: Vec<String>,
}

impl ResolvedImage {
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.named.reference
    }

    /// The digest that the registry has for the reference: what a lock file pins.
    #[must_use]
    pub fn upstream(&self) -> Sha256 {
        self.named.upstream
    }

    /// The wanted platforms with their sizes.
    #[must_use]
    pub fn platforms(&self) -> &[PlatformEntry] {
        &self.platforms
    }

    #[must_use]
    pub fn wanted_by(&self) -> &[String] {
        &self.wanted_by
    }

    pub(super) fn failed(&self, error: ImageError) -> ImageFailure {
        ImageFailure {
            image: self.named.reference.clone(),
            wanted_by: self.wanted_by.clone(),
            error,
        }
    }

    pub(super) fn into_copied(self, change: Change) -> CopiedImage {
        let entry = ImageEntry {
            upstream: self.named.upstream,
            platforms: self.platforms,
            wanted_by: self.wanted_by,
            ..ImageEntry::new(self.named.reference, self.named.manifest.digest)
        };
        CopiedImage {
            entry,
            upstream: self.named.upstream,
            change,
        }
    }
}

/// Reads a reference; what is left out is filled in.
pub(super) fn parse(text: &str) -> Result<Reference, ImageError> {
    let text = text.trim();
    let reference = Reference::try_from(text).map_err(|e| {
        let why = if Reference::try_from(text.to_lowercase()).is_ok() {
            "names are written in lower case".to_owned()
        } else {
            e.to_string()
        };
        ImageError::Reference { why }
    })?;
    reference.digest().map(sha256).transpose()?;
    Ok(reference)
}

impl Images {
    /// Finds out what the references mean now, or what `pins` (by full reference) says that they mean. Jobs for the
    /// same image become one. Manifests, which are small, are stored at once.
    pub async fn resolve(
        &self,
        jobs: Vec<ImageJob>,
        pins: &BTreeMap<String, Sha256>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Vec<ResolvedImage>, ImageFailures> {
        let (wanted, mut failures) = merge(jobs);
        if let Err(error) = self.blobs.layout.create() {
            let image = "images".to_owned();
            return Err(ImageFailures(vec![ImageFailure {
                image,
                wanted_by: Vec::new(),
                error: error.into(),
            }]));
        }
        let outcomes = futures::stream::iter(wanted.into_values())
            .map(|want| async move {
                let name = want.reference.whole();
                let pin = pins.get(&name);
                let wanted_by = want.wanted_by.clone();
                let outcome = self.resolve_one(want, pin, events, cancel).await;
                outcome.map_err(|error| ImageFailure {
                    image: name,
                    wanted_by,
                    error,
                })
            })
            .buffer_unordered(self.jobs)
            .collect()
            .await;
        match sorted(outcomes) {
            Ok(mut resolved) if failures.is_empty() => {
                resolved.sort_by(|a, b| a.named.reference.cmp(&b.named.reference));
                Ok(resolved)
            }
            Ok(_) => Err(ImageFailures(failures)),
            Err(more) => {
                failures.extend(more.0);
                Err(ImageFailures(failures))
            }
        }
    }

    async fn resolve_one(
        &self,
        want: Want,
        pin: Option<&Sha256>,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<ResolvedImage, ImageError> {
        let source = self.registries.source(&want.reference).await?;
        let arches: Vec<Arch> = want.arches.iter().copied().collect();
        let title = format!("resolve {}", want.reference);
        let unit = Reported {
            stage: RESOLVE_STAGE,
            title,
            bytes: None,
        };
        unit.run(events, cancel, |watch| async move {
            let asking = Asking {
                images: self,
                source: &source,
                arches: &arches,
                watch: &watch,
            };
            let upstream = match (want.reference.digest(), pin) {
                (Some(digest), _) => sha256(digest)?,
                (None, Some(pin)) => *pin,
                (None, None) => asking.patiently(|| source.digest()).await?,
            };
            let change = match self.blobs.layout.read(&upstream) {
                Some(_) => Change::Satisfied,
                None => Change::Downloaded,
            };
            let root = asking.manifest(&upstream).await?;
            // As it is upstream, too: signatures are made over these bytes.
            self.blobs.store(root.bytes.clone()).await?;
            let (root, chosen) = asking.select(&want.reference, root).await?;
            self.blobs.store(root.bytes.clone()).await?;
            let mut image = ResolvedImage {
                named: Named {
                    reference: want.reference.whole(),
                    upstream,
                    media_type: root.media_type,
                    manifest: Blob {
                        digest: root.digest,
                        size: length(&root.bytes),
                    },
                },
                blobs: Vec::new(),
                configs: Vec::new(),
                source: source.clone(),
                change,
                platforms: Vec::new(),
                wanted_by: want.wanted_by,
            };
            for (arch, digest, manifest) in chosen {
                image.take(arch, digest, &manifest)?;
            }
            Ok((image, outcome(change)))
        })
        .await
    }
}

impl ResolvedImage {
    /// Adds one manifest's blobs; those of a wanted platform are also listed as such.
    fn take(
        &mut self,
        arch: Option<Arch>,
        digest: Sha256,
        manifest: &OciImageManifest,
    ) -> Result<(), ImageError> {
        let blobs = blobs_of(manifest)?;
        if let Some(arch) = arch {
            let size = blobs.iter().map(|blob| blob.size).sum();
            self.platforms.push(PlatformEntry { arch, digest, size });
            self.configs.push((arch, sha256(&manifest.config.digest)?));
        }
        for blob in blobs {
            if !self.blobs.contains(&blob) {
                self.blobs.push(blob);
            }
        }
        Ok(())
    }
}

/// An image, wanted by one or several.
struct Want {
    reference: Reference,
    wanted_by: Vec<String>,
    arches: BTreeSet<Arch>,
}

fn merge(jobs: Vec<ImageJob>) -> (BTreeMap<String, Want>, Vec<ImageFailure>) {
    let (mut wanted, mut failures) = (BTreeMap::<String, Want>::new(), Vec::new());
    for job in jobs {
        match parse(&job.reference) {
            Ok(reference) => {
                let want = wanted.entry(reference.whole()).or_insert(Want {
                    reference,
                    wanted_by: Vec::new(),
                    arches: BTreeSet::new(),
                });
                want.arches.extend(job.arches);
                want.wanted_by.extend(job.wanted_by);
                want.wanted_by.sort();
                want.wanted_by.dedup();
            }
            Err(error) => failures.push(ImageFailure {
                image: job.reference,
                wanted_by: job.wanted_by,
                error,
            }),
        }
    }
    (wanted, failures)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
