//! Which of an image's manifests are wanted.

use artifact::Sha256;
use cluster::Arch;
use oci_client::Reference;
use oci_client::manifest::{ImageIndexEntry, OciImageIndex, OciImageManifest};

use super::document::{
    Content, Document, RunsOn, blobs_of, choose, manifest_of, must_be_container, platforms,
};
use super::source::Source;
use super::{ImageError, Images};
use crate::fetch::{Watch, patiently};

/// A manifest of an image, and for which wanted platform it is, if for one.
pub(super) type Chosen = (Option<Arch>, Sha256, OciImageManifest);

/// Everything that asking about one image takes.
pub(super) struct Asking<'a> {
    pub(super) images: &'a Images,
    pub(super) source: &'a Source,
    pub(super) arches: &'a [Arch],
    pub(super) watch: &'a Watch<'a>,
}

impl Asking<'_> {
    pub(super) async fn patiently<T, F>(&self, request: impl Fn() -> F) -> Result<T, ImageError>
    where
        F: Future<Output = Result<T, ImageError>>,
    {
        patiently(self.watch, self.images.registries.retry(), request).await
    }

    /// A manifest out of the layout or from the registry; its digest is checked either way.
    pub(super) async fn manifest(&self, digest: &Sha256) -> Result<Document, ImageError> {
        if let Some(bytes) = self.images.blobs.layout.read(digest) {
            return Document::read(bytes);
        }
        let bytes = self.patiently(|| self.source.manifest(digest)).await?;
        if Sha256::of(&bytes) != *digest {
            return Err(ImageError::Corrupt {
                at: self.source.at(),
                what: "manifest",
                digest: digest.oci(),
            });
        }
        Document::read(bytes)
    }

    /// The manifests to copy, and the root that names just them.
    pub(super) async fn select(
        &self,
        reference: &Reference,
        root: Document,
    ) -> Result<(Document, Vec<Chosen>), ImageError> {
        match root.content.clone() {
            Content::Image(image) => {
                let chosen = self.single(root.digest, *image).await?;
                Ok((root, vec![chosen]))
            }
            Content::Index(index) => {
                let wanted = self.wanted(&index)?;
                let entries = if reference.digest().is_some() {
                    self.tell_of_others(reference, &index, wanted.len());
                    index.manifests.clone()
                } else {
                    wanted.iter().map(|(_, entry)| entry.clone()).collect()
                };
                let root = root.keep(&entries)?;
                let mut chosen: Vec<Chosen> = Vec::new();
                for entry in &entries {
                    let arch = wanted.iter().find(|(_, e)| e.digest == entry.digest);
                    chosen.push(self.member(arch.map(|(arch, _)| *arch), entry).await?);
                }
                chosen.sort_by_key(|(arch, digest, _)| (*arch, *digest));
                Ok((root, chosen))
            }
        }
    }

    fn wanted(&self, index: &OciImageIndex) -> Result<Vec<(Arch, ImageIndexEntry)>, ImageError> {
        let (mut wanted, mut missing) = (Vec::new(), Vec::new());
        for arch in self.arches {
            match choose(index, *arch) {
                Some(entry) => wanted.push((*arch, entry.clone())),
                None => missing.push(*arch),
            }
        }
        if missing.is_empty() {
            Ok(wanted)
        } else {
            Err(ImageError::MissingPlatform {
                missing,
                found: platforms(index),
            })
        }
    }

    /// One entry of an index. Those beside the wanted platforms may be anything: attestations, other systems.
    async fn member(
        &self,
        arch: Option<Arch>,
        entry: &ImageIndexEntry,
    ) -> Result<Chosen, ImageError> {
        let blob = manifest_of(entry)?;
        let document = self.manifest(&blob.digest).await?;
        let Content::Image(image) = document.content else {
            return Err(ImageError::NotAnImage {
                why: "an index inside an index".to_owned(),
            });
        };
        if arch.is_some() {
            must_be_container(&image)?;
        }
        self.images.blobs.store(document.bytes).await?;
        Ok((arch, blob.digest, *image))
    }

    /// An image without an index runs on what its config says.
    async fn single(&self, digest: Sha256, image: OciImageManifest) -> Result<Chosen, ImageError> {
        must_be_container(&image)?;
        let config = blobs_of(&image)?[0];
        let progress = event::Progress::unseen();
        let retry = self.images.registries.retry();
        self.images
            .blobs
            .ensure(&config, self.source, self.watch, retry, &progress)
            .await?;
        let runs_on = RunsOn::read(
            &self
                .images
                .blobs
                .layout
                .read(&config.digest)
                .unwrap_or_default(),
        )?;
        let missing: Vec<Arch> = self
            .arches
            .iter()
            .copied()
            .filter(|arch| !runs_on.is(*arch))
            .collect();
        match self.arches {
            [arch] if missing.is_empty() => Ok((Some(*arch), digest, image)),
            _ => Err(ImageError::MissingPlatform {
                missing,
                found: vec![runs_on.platform()],
            }),
        }
    }

    fn tell_of_others(&self, reference: &Reference, index: &OciImageIndex, wanted: usize) {
        let others = index.manifests.len() - wanted;
        if others > 0 {
            self.watch.events.warn(
                format!("{reference} is named by its digest: {others} more of its manifests travel along"),
                Some("name it by its tag, and only the wanted architectures are copied"),
            );
        }
    }
}
