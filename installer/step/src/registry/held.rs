//! The images that a registry holds, whoever has pushed them, and those that it is to forget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use engine::{Cx, Data, Question, Slot, SlotId, State, Step, StepError};
use futures::{StreamExt, TryStreamExt, stream};

use super::garbage::garbage_note;
use super::push_images::{connect, explained, way};
use super::{Found, Registry, RegistryError, RegistryLogin, SiteRegistry};
use crate::image::layout::named;
use crate::shell::must;

/// How many small questions are asked at once.
const QUESTIONS: usize = 16;

/// An image as a registry holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldImage {
    /// `registry.k8s.io/pause`
    pub repository: String,
    pub tag: String,
    /// What is under the tag; none where the registry cannot read it.
    pub digest: Option<Sha256>,
    /// It, and the manifests that it names.
    pub manifests: BTreeSet<Sha256>,
    /// Its configs and layers, with their sizes in bytes.
    pub contents: BTreeMap<Sha256, u64>,
}

/// Lists what a registry holds.
pub struct ListImages {
    pub site: SiteRegistry,
    pub login: RegistryLogin,
    pub held: Slot<Vec<HeldImage>>,
}

/// Has a registry forget manifests. What they name stays on its disk until its garbage is collected, which it notes first: a
/// killed run does not forget it.
pub struct ForgetImages {
    pub site: SiteRegistry,
    pub login: RegistryLogin,
    /// Each with its repository.
    pub manifests: BTreeSet<(String, Sha256)>,
}

async fn listed(
    registry: &Registry,
    prefix: Option<&str>,
) -> Result<Vec<HeldImage>, RegistryError> {
    let repositories = registry.repositories().await?.into_iter();
    let ours = repositories.filter(|name| prefix.is_none_or(|prefix| name.starts_with(prefix)));
    let tags = ours.map(async |repository| {
        let tags = registry.tags(&repository).await?;
        Ok::<_, RegistryError>((repository, tags))
    });
    let tags: Vec<(String, Vec<String>)> = stream::iter(tags.collect::<Vec<_>>())
        .buffered(QUESTIONS)
        .try_collect()
        .await?;
    let images = tags.into_iter().flat_map(|(repository, tags)| {
        let of = move |tag| (repository.clone(), tag);
        tags.into_iter().map(of).collect::<Vec<_>>()
    });
    let images = images.map(|(repository, tag)| image(registry, repository, tag));
    stream::iter(images.collect::<Vec<_>>())
        .buffered(QUESTIONS)
        .try_collect()
        .await
}

/// Follows an image from its tag as far as the registry has it.
async fn image(
    registry: &Registry,
    repository: String,
    tag: String,
) -> Result<HeldImage, RegistryError> {
    let mut held = HeldImage {
        repository,
        tag,
        digest: None,
        manifests: BTreeSet::new(),
        contents: BTreeMap::new(),
    };
    let mut ahead = vec![held.tag.clone()];
    while let Some(at) = ahead.pop() {
        let Found::Manifest(bytes) = registry.manifest(&held.repository, &at).await? else {
            continue;
        };
        let digest = Sha256::of(&bytes);
        held.digest.get_or_insert(digest);
        held.manifests.insert(digest);
        let Ok(named) = named(&bytes) else {
            continue;
        };
        let sizes = named.blobs.into_iter().map(|blob| (blob.digest, blob.size));
        held.contents.extend(sizes);
        let new = named.manifests.into_iter();
        let new = new.filter(|child| !held.manifests.contains(child));
        ahead.extend(new.map(|child| child.oci()));
    }
    Ok(held)
}

#[async_trait]
impl Question for ListImages {
    fn id(&self) -> String {
        format!("list the images in {}", self.site.url)
    }

    fn describe(&self) -> String {
        "list the images in the registry".to_owned()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.login.takes()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.held.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, self.login.found().await?, &way).await?;
        let project = self.site.names.namespace.as_deref();
        let prefix = project.map(|name| format!("{}/", name.trim_matches('/')));
        let held = listed(&registry, prefix.as_deref()).await;
        self.held.fill(explained(held, &way)?);
        Ok(State::Satisfied)
    }
}

impl ForgetImages {
    async fn there(&self, registry: &Registry) -> Result<Vec<&(String, Sha256)>, RegistryError> {
        let asked = self.manifests.iter().map(async |place| {
            let (repository, digest) = place;
            let found = registry.manifest(repository, &digest.oci()).await?;
            Ok::<_, RegistryError>(match found {
                Found::Nothing => None,
                Found::Unreadable | Found::Manifest(_) => Some(place),
            })
        });
        let there: Vec<Option<_>> = stream::iter(asked.collect::<Vec<_>>())
            .buffered(QUESTIONS)
            .try_collect()
            .await?;
        Ok(there.into_iter().flatten().collect())
    }
}

#[async_trait]
impl Step for ForgetImages {
    fn id(&self) -> String {
        format!("forget images in {}", self.site.url)
    }

    fn describe(&self) -> String {
        "remove images from the registry".to_owned()
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.site, self.manifests)
    }

    fn takes(&self) -> Vec<SlotId> {
        self.login.takes()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, self.login.found().await?, &way).await?;
        Ok(match explained(self.there(&registry).await, &way)?.len() {
            0 => State::Satisfied,
            count => State::needed(format!("{count} manifests are there")),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, self.login.found().await?, &way).await?;
        let note = host::Command::new(["touch", garbage_note(&self.site)?.as_str()]);
        must(cx, "note that there is garbage to collect", note).await?;
        for (repository, digest) in explained(self.there(&registry).await, &way)? {
            explained(registry.forget(repository, *digest).await, &way)?;
        }
        Ok(())
    }

    /// `kubexm images push` and `kubexm install` bring images.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
