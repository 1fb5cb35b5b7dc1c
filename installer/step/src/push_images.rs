use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifact::{ImageEntry, Sha256};
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use camino::Utf8PathBuf;
use engine::{Cx, Retry, Slot, SlotId, State, Step, StepError};
use event::Progress;
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

use crate::RegistryCredentials;
use crate::image_layout::{Image, LayoutError, blob_path, read_image};
use crate::image_name::SiteImage;
use crate::local_file::{self, blocking};
use crate::registry::{Begun, Registry, RegistryError, SiteRegistry};

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

/// How many blobs travel at once: enough to hide the registry's pauses for hashing and syncing.
const UPLOADS: usize = 6;
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
        Self { site, credentials, layout: layout.into(), images }
    }

    async fn connect(&self) -> Result<Registry, StepError> {
        let credentials = self.credentials.get().cloned().ok_or_else(|| {
            StepError::new("the registry's credentials have not been prepared")
        })?;
        let path = self.site.ca.clone();
        let ca = blocking(move || local_file::read(&path)).await?.ok_or_else(|| {
            StepError::new(format!("there is no certificate authority in {}", self.site.ca))
        })?;
        Ok(Registry::connect(&self.site, &ca, credentials)?)
    }

    /// The images that the registry does not hold as the tree does.
    async fn missing(&self, registry: &Registry) -> Result<Vec<(SiteImage, &ImageEntry)>, StepError> {
        let questions: Vec<_> =
            self.images.iter().map(|entry| self.absent(registry, entry)).collect();
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
        let name = SiteImage::of(self.site.namespace.as_deref(), &entry.reference, entry.digest)
            .map_err(|error| StepError::new(error.to_string()))?;
        let found = patiently(|| registry.digest_of(&name.repository, &name.tag)).await?;
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
        let mut inputs = format!("{:?}\n", self.site);
        for image in &self.images {
            inputs.push_str(&format!("{}={}\n", image.reference, image.digest));
        }
        inputs
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.images.iter().map(size).sum())
    }

    fn retry(&self) -> Retry {
        Retry::NETWORK
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
        cx.progress.add(self.bytes().unwrap_or_default().saturating_sub(ahead));
        let images = self.read(missing).await?;
        let push = Push { registry: &registry, layout: &self.layout, progress: &cx.progress };
        push.blobs(&images).await?;
        push.manifests(&images).await?;
        Ok(())
    }
}

fn size(image: &ImageEntry) -> u64 {
    image.platforms.iter().map(|platform| platform.size).sum()
}

struct Push<'a> {
    registry: &'a Registry,
    layout: &'a Utf8PathBuf,
    progress: &'a Progress,
}

/// A blob and everywhere it belongs.
struct Route<'a> {
    digest: Sha256,
    size: u64,
    /// How often the images name it.
    times: u64,
    repositories: Vec<&'a str>,
}

impl Push<'_> {
    /// Manifests come after all they name: a registry refuses them otherwise.
    async fn blobs(&self, images: &[(SiteImage, Image)]) -> Result<(), RegistryError> {
        stream::iter(routes(images))
            .map(Ok)
            .try_for_each_concurrent(UPLOADS, async |route| self.blob(&route).await)
            .await
    }

    async fn manifests(&self, images: &[(SiteImage, Image)]) -> Result<(), RegistryError> {
        stream::iter(images)
            .map(Ok)
            .try_for_each_concurrent(UPLOADS, async |(name, image)| {
                let last = image.manifests.len().saturating_sub(1);
                for (at, manifest) in image.manifests.iter().enumerate() {
                    let digest = manifest.digest.oci();
                    let tag = if at == last { &name.tag } else { &digest };
                    let put = || self.registry.put_manifest(&name.repository, tag, manifest);
                    patiently(put).await?;
                }
                Ok(())
            })
            .await
    }

    async fn blob(&self, route: &Route<'_>) -> Result<(), RegistryError> {
        let counter = Counter::new(self.progress.clone());
        let mut from = None;
        for repository in &route.repositories {
            patiently(|| self.blob_into(repository, from, route.digest, &counter)).await?;
            from = Some(*repository);
        }
        counter.moved_to(route.size);
        self.progress.add(route.size * (route.times - 1));
        Ok(())
    }

    async fn blob_into(
        &self,
        repository: &str,
        from: Option<&str>,
        digest: Sha256,
        counter: &Counter,
    ) -> Result<(), RegistryError> {
        // To mount costs one request as to ask does, and is the answer at the same time.
        if from.is_none() && self.registry.has_blob(repository, digest).await? {
            return Ok(());
        }
        let Begun::Upload(to) = self.registry.begin(repository, digest, from).await? else {
            return Ok(());
        };
        let path = blob_path(self.layout, digest);
        self.registry.upload(to, repository, digest, &path, counter.attempt()).await
    }
}

/// Each blob once, the largest first: the end is not one long layer after many short ones.
fn routes(images: &[(SiteImage, Image)]) -> Vec<Route<'_>> {
    let mut routes: BTreeMap<Sha256, Route<'_>> = BTreeMap::new();
    for (name, image) in images {
        for blob in &image.blobs {
            let route = routes.entry(blob.digest).or_insert_with(|| Route {
                digest: blob.digest,
                size: blob.size,
                times: 0,
                repositories: Vec::new(),
            });
            route.times += 1;
            if !route.repositories.contains(&name.repository.as_str()) {
                route.repositories.push(&name.repository);
            }
        }
    }
    let mut routes: Vec<_> = routes.into_values().collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.size));
    routes
}

/// Reports each byte of a blob once, however often it is sent.
struct Counter {
    progress: Progress,
    reported: Arc<AtomicU64>,
}

impl Counter {
    fn new(progress: Progress) -> Self {
        Self { progress, reported: Arc::default() }
    }

    /// Hears of the bytes of one attempt.
    fn attempt(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let this = Self { progress: self.progress.clone(), reported: self.reported.clone() };
        let at = AtomicU64::new(0);
        move |bytes| this.moved_to(at.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }

    fn moved_to(&self, position: u64) {
        let before = self.reported.fetch_max(position, Ordering::Relaxed);
        if position > before {
            self.progress.add(position - before);
        }
    }
}

/// Tries again what may pass. One lost connection must not cost the other uploads of the step.
async fn patiently<T, Fut>(request: impl FnMut() -> Fut) -> Result<T, RegistryError>
where
    Fut: Future<Output = Result<T, RegistryError>>,
{
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(4))
        .with_max_times(4)
        .with_jitter();
    request.retry(pauses).when(RegistryError::may_pass).await
}
