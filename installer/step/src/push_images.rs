use std::sync::Arc;

use artifact::ImageEntry;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

use crate::RegistryCredentials;
use crate::image_layout::{Image, LayoutError, read_image};
use crate::image_name::SiteImage;
use crate::local_file::{self, blocking};
use crate::registry::{Push, Registry, SiteRegistry};

/// Pushes images of the tree into the site's registry, multi-arch indexes as they are.
///
/// All images in one step, because they share blobs: each goes over the wire once, several at a time, and is mounted
/// wherever else it belongs. Idempotent: what the registry holds already is not sent again, so a killed push goes on
/// where it was. The check asks for the digest of every image.
#[derive(Clone, Debug)]
pub struct PushImages {
    site: SiteRegistry,
    credentials: Slot<RegistryCredentials>,
    layout: Utf8PathBuf,
    images: Vec<ImageEntry>,
}

/// How many small questions are asked at once.
const QUESTIONS: usize = 16;

impl PushImages {
    /// `layout` is `images/` of the tree.
    #[must_use]
    pub fn new(
        site: SiteRegistry,
        credentials: Slot<RegistryCredentials>,
        layout: impl Into<Utf8PathBuf>,
        images: Vec<ImageEntry>,
    ) -> Self {
        Self {
            site,
            credentials,
            layout: layout.into(),
            images,
        }
    }

    async fn connect(&self) -> Result<Registry, StepError> {
        let credentials =
            self.credentials.get().cloned().ok_or_else(|| {
                StepError::new("the registry's credentials have not been prepared")
            })?;
        let path = self.site.ca.clone();
        let ca = blocking(move || local_file::read(&path))
            .await?
            .ok_or_else(|| {
                StepError::new(format!(
                    "there is no certificate authority in {}",
                    self.site.ca
                ))
            })?;
        Ok(Registry::connect(&self.site, &ca, credentials)?)
    }

    /// The images that the registry does not hold as the tree does.
    async fn missing(
        &self,
        registry: &Registry,
    ) -> Result<Vec<(SiteImage, &ImageEntry)>, StepError> {
        let questions: Vec<_> = self
            .images
            .iter()
            .map(|entry| self.absent(registry, entry))
            .collect();
        stream::iter(questions)
            .buffered(QUESTIONS)
            .try_filter_map(|missing| ready(Ok(missing)))
            .try_collect()
            .await
    }

    async fn absent<'a>(
        &self,
        registry: &Registry,
        entry: &'a ImageEntry,
    ) -> Result<Option<(SiteImage, &'a ImageEntry)>, StepError> {
        let name = SiteImage::of(&self.site.names, &entry.reference, entry.digest)
            .map_err(|error| StepError::new(error.to_string()))?;
        let found = registry.digest_of(&name.repository, &name.tag).await?;
        let there = found.is_some_and(|digest| digest == entry.digest.oci());
        Ok((!there).then_some((name, entry)))
    }

    async fn read(
        &self,
        missing: Vec<(SiteImage, &ImageEntry)>,
    ) -> Result<Vec<(SiteImage, Image)>, StepError> {
        let layout = self.layout.clone();
        let wanted: Vec<_> = missing
            .into_iter()
            .map(|(name, entry)| (name, entry.reference.clone(), entry.digest))
            .collect();
        blocking(move || {
            wanted
                .into_iter()
                .map(|(name, reference, digest)| {
                    Ok((name, read_image(&layout, &reference, digest)?))
                })
                .collect::<Result<_, LayoutError>>()
        })
        .await
    }
}

#[async_trait]
impl Step for PushImages {
    fn id(&self) -> String {
        format!("push images to {}", self.site.url)
    }

    fn describe(&self) -> String {
        match self.images.len() {
            1 => "push 1 image to the registry".to_owned(),
            count => format!("push {count} images to the registry"),
        }
    }

    fn inputs(&self) -> String {
        let line = |image: &ImageEntry| format!("{}={}", image.reference, image.digest);
        let lines: Vec<_> = self.images.iter().map(line).collect();
        format!("{:?}\n{}", self.site, lines.join("\n"))
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.images.iter().map(size).sum())
    }

    fn takes(&self) -> Vec<SlotId> {
        vec![self.credentials.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let registry = self.connect().await?;
        let missing = self.missing(&registry).await?;
        Ok(match missing.as_slice() {
            [] => State::Satisfied,
            [(name, _)] => State::needed(format!("the registry lacks {name}")),
            [(name, _), rest @ ..] => {
                State::needed(format!("the registry lacks {name} and {} more", rest.len()))
            }
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let registry = self.connect().await?;
        let missing = self.missing(&registry).await?;
        let ahead: u64 = missing.iter().map(|(_, entry)| size(entry)).sum();
        cx.progress
            .add(self.bytes().unwrap_or_default().saturating_sub(ahead));
        let images = self.read(missing).await?;
        let push = Push::new(&registry, &self.layout, &cx.progress);
        push.blobs(&images).await?;
        push.manifests(&images).await?;
        Ok(())
    }

    /// They go with the registry's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn size(image: &ImageEntry) -> u64 {
    image.platforms.iter().map(|platform| platform.size).sum()
}
