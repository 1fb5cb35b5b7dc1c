use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifact::Sha256;
use backon::{ExponentialBuilder, Retryable};
use camino::Utf8Path;
use event::Progress;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Begun, Held, Registry, RegistryError};
use crate::image::layout::{Blob, Image, blob_path};
use crate::image::name::SiteImage;

/// How many blobs travel at once: enough to hide the registry's pauses for hashing and syncing.
const UPLOADS: usize = 6;
/// Brings images into a registry: each blob over the wire once, several at a time.
pub(crate) struct Push<'a> {
    registry: &'a Registry,
    layout: &'a Utf8Path,
    progress: &'a Progress,
}

/// A blob and everywhere it belongs.
struct Route<'a> {
    blob: Blob,
    /// How often the images name it.
    times: u64,
    repositories: Vec<&'a str>,
}

impl<'a> Push<'a> {
    pub fn new(registry: &'a Registry, layout: &'a Utf8Path, progress: &'a Progress) -> Self {
        Self {
            registry,
            layout,
            progress,
        }
    }

    /// Layers and configs.
    pub async fn blobs(&self, images: &[(SiteImage, Image)]) -> Result<(), RegistryError> {
        stream::iter(routes(images))
            .map(Ok)
            .try_for_each_concurrent(UPLOADS, async |route| self.blob(&route).await)
            .await
    }

    /// Manifests and indexes. They come after all they name: a registry refuses them otherwise.
    pub async fn manifests(&self, images: &[(SiteImage, Image)]) -> Result<(), RegistryError> {
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
            patiently(|| self.blob_into(repository, from, route.blob, &counter)).await?;
            from = Some(*repository);
        }
        counter.moved_to(route.blob.size);
        self.progress.add(route.blob.size * (route.times - 1));
        Ok(())
    }

    async fn blob_into(
        &self,
        repository: &str,
        from: Option<&str>,
        blob: Blob,
        counter: &Counter,
    ) -> Result<(), RegistryError> {
        let Blob { digest, .. } = blob;
        // To mount costs one request as to ask does, and is the answer at the same time.
        if from.is_none() && matches!(self.registry.held(repository, blob).await?, Held::Whole) {
            return Ok(());
        }
        let Begun::Upload(to) = self.registry.begin(repository, digest, from).await? else {
            return Ok(());
        };
        let path = blob_path(self.layout, digest);
        self.registry
            .upload(to, repository, digest, &path, counter.attempt())
            .await
    }
}

/// Each blob once, the largest first: the end is not one long layer after many short ones.
fn routes(images: &[(SiteImage, Image)]) -> Vec<Route<'_>> {
    let mut routes: BTreeMap<Sha256, Route<'_>> = BTreeMap::new();
    for (name, image) in images {
        for blob in &image.blobs {
            let route = routes.entry(blob.digest).or_insert_with(|| Route {
                blob: *blob,
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
    routes.sort_by_key(|route| std::cmp::Reverse(route.blob.size));
    routes
}

/// Reports each byte of a blob once, however often it is sent.
struct Counter {
    progress: Progress,
    reported: Arc<AtomicU64>,
}

impl Counter {
    fn new(progress: Progress) -> Self {
        Self {
            progress,
            reported: Arc::default(),
        }
    }

    /// Hears of the bytes of one attempt.
    fn attempt(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let this = Self {
            progress: self.progress.clone(),
            reported: self.reported.clone(),
        };
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
