use std::sync::Arc;

use artifact::ImageEntry;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};
use host::Way;

use crate::RegistryCredentials;
use crate::image_layout::{Image, LayoutError, read_image};
use crate::image_name::SiteImage;
use crate::local_file::{self, blocking};
use crate::registry::{Push, Registry, SiteRegistry};

/// Pushes images of the tree into the site's registry, multi-arch indexes as they are.
///
/// All images in one step, because they share blobs: each goes over the wire once, several at a time, and is mounted
/// wherever else it belongs. Idempotent: what the registry holds already is not sent again, so a killed push goes on
/// where it was. The check asks for the digest of every image. They go from the operator's machine to the registry's
/// port, through the bastion where the host has one.
#[derive(Clone, Debug)]
pub struct PushImages {
    site: SiteRegistry,
    credentials: Slot<RegistryCredentials>,
    layout: Utf8PathBuf,
    images: Vec<ImageEntry>,
    pushed: Slot<()>,
}

/// How many small questions are asked at once.
const QUESTIONS: usize = 16;

impl PushImages {
    /// `layout` is `images/` of the tree; `pushed` is full once the registry holds all images, for those who pull.
    #[must_use]
    pub fn new(
        site: SiteRegistry,
        credentials: Slot<RegistryCredentials>,
        layout: impl Into<Utf8PathBuf>,
        images: Vec<ImageEntry>,
        pushed: Slot<()>,
    ) -> Self {
        Self {
            site,
            credentials,
            layout: layout.into(),
            images,
            pushed,
        }
    }

    async fn connect(&self, way: &Way) -> Result<Registry, StepError> {
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
        Ok(Registry::connect(&self.site, &ca, credentials, way)?)
    }

    async fn way(&self, cx: &Cx) -> Result<Way, StepError> {
        let port = self.site.port().unwrap_or_default();
        Ok(cx.host.way_to(port).await?)
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

    fn fills(&self) -> Vec<SlotId> {
        vec![self.pushed.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = self.way(cx).await?;
        let registry = self.connect(&way).await?;
        let missing = explained(self.missing(&registry).await, &way)?;
        Ok(match missing.as_slice() {
            [] => {
                self.pushed.fill(());
                State::Satisfied
            }
            [(name, _)] => State::needed(format!("the registry lacks {name}")),
            [(name, _), rest @ ..] => {
                State::needed(format!("the registry lacks {name} and {} more", rest.len()))
            }
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let way = self.way(cx).await?;
        let registry = self.connect(&way).await?;
        let missing = explained(self.missing(&registry).await, &way)?;
        let ahead: u64 = missing.iter().map(|(_, entry)| size(entry)).sum();
        cx.progress
            .add(self.bytes().unwrap_or_default().saturating_sub(ahead));
        let images = self.read(missing).await?;
        let push = Push::new(&registry, &self.layout, &cx.progress);
        explained(push.blobs(&images).await, &way)?;
        explained(push.manifests(&images).await, &way)
    }

    /// They go with the registry's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Behind a bastion a connection that cannot be made only closes; why is known to the way there.
fn explained<T, E: Into<StepError>>(result: Result<T, E>, way: &Way) -> Result<T, StepError> {
    match (result, way) {
        (Err(error), Way::Through(forward)) => Err(match forward.fault() {
            Some(fault) => StepError::passing(fault.to_string()),
            None => error.into(),
        }),
        (result, _) => result.map_err(Into::into),
    }
}

fn size(image: &ImageEntry) -> u64 {
    image.platforms.iter().map(|platform| platform.size).sum()
}
