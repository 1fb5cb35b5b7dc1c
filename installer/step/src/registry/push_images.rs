use std::collections::BTreeSet;
use std::sync::Arc;

use artifact::{ImageEntry, Sha256};
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use host::{Command, Way};

use crate::image::layout::{Image, LayoutError, read_image};
use crate::image::name::SiteImage;
use crate::local_file::blocking;
use crate::registry::{Flaw, Push, Registry, RegistryLogin, SiteRegistry, look};
use crate::shell::must;
use crate::{RegistryCredentials, SiteNames};

/// Pushes images of the tree into the site's registry, multi-arch indexes as they are.
///
/// All images in one step, because they share blobs: each goes over the wire once, several at a time, and is mounted
/// wherever else it belongs. Idempotent: what the registry holds already is not sent again, so a killed push goes on
/// where it was. The check reads every manifest and asks for the size of every blob: what has a name may be empty. The
/// registry takes nothing that it has by name, and so what is damaged is first removed on its host. They go from the operator's machine to the registry's
/// port, through the bastion where the host has one.
#[derive(Clone, Debug)]
pub struct PushImages {
    site: SiteRegistry,
    login: RegistryLogin,
    layout: Utf8PathBuf,
    images: Vec<ImageEntry>,
    pushed: Slot<()>,
}

/// How many places go into one command.
const PLACES: usize = 100;

/// What the registry does not hold as the tree does.
struct Wanting<'a> {
    images: Vec<(SiteImage, &'a ImageEntry)>,
    damaged: BTreeSet<Sha256>,
    /// For people.
    reason: String,
}

impl PushImages {
    /// `layout` is `images/` of the tree; `pushed` is full once the registry holds all images, for those who pull.
    #[must_use]
    pub fn new(
        site: SiteRegistry,
        login: impl Into<RegistryLogin>,
        layout: impl Into<Utf8PathBuf>,
        images: Vec<ImageEntry>,
        pushed: Slot<()>,
    ) -> Self {
        Self {
            site,
            login: login.into(),
            layout: layout.into(),
            images,
            pushed,
        }
    }

    async fn connect(&self, way: &Way) -> Result<Registry, StepError> {
        connect(&self.site, self.login.found().await?, way).await
    }

    async fn way(&self, cx: &Cx) -> Result<Way, StepError> {
        way(&self.site, cx).await
    }

    /// What the registry does not hold as the tree does; none where it holds all.
    async fn wanting(&self, registry: &Registry) -> Result<Option<Wanting<'_>>, StepError> {
        let named = named(&self.site.names, &self.images)?;
        let faults = look(registry, &named).await?;
        let Some(first) = faults.first() else {
            return Ok(None);
        };
        let images: BTreeSet<usize> = faults.iter().map(|fault| fault.image).collect();
        let more = match images.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let name = &named[first.image].0;
        let reason = match &first.flaw {
            Flaw::Lacking => format!("the registry lacks {name}{more}"),
            Flaw::Damaged { why, .. } => format!("damaged in the registry: {name}{more}; {why}"),
        };
        let damaged = faults.iter().filter_map(|fault| match fault.flaw {
            Flaw::Damaged { content, .. } => Some(content),
            Flaw::Lacking => None,
        });
        let damaged = damaged.collect();
        let images = images.into_iter();
        let images = images.map(|image| (named[image].0.clone(), &self.images[image]));
        Ok(Some(Wanting {
            images: images.collect(),
            damaged,
            reason,
        }))
    }

    /// Lets the registry forget what is not what it is called.
    async fn remove(&self, cx: &Cx, damaged: &BTreeSet<Sha256>) -> Result<(), StepError> {
        let places = damaged.iter().map(|content| {
            let place = self.site.keeper.place_of(*content);
            place.map(Utf8PathBuf::into_string).ok_or_else(|| {
                StepError::new(format!(
                    "{} is damaged in the registry {}, and kubexm is not its keeper",
                    content.oci(),
                    self.site.names.authority
                ))
                .with_hint("its administrator has to remove that content there; then run again")
            })
        });
        let places: Vec<String> = places.collect::<Result<_, _>>()?;
        for places in places.chunks(PLACES) {
            let start = ["rm", "-rf", "--"].map(str::to_owned);
            let remove = Command::new(start.iter().chain(places));
            must(cx, "remove what is damaged in the registry", remove).await?;
        }
        Ok(())
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
        self.login.takes()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.pushed.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = self.way(cx).await?;
        let registry = self.connect(&way).await?;
        Ok(match explained(self.wanting(&registry).await, &way)? {
            None => {
                self.pushed.fill(());
                State::Satisfied
            }
            Some(wanting) => State::needed(wanting.reason),
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let way = self.way(cx).await?;
        let registry = self.connect(&way).await?;
        let found = explained(self.wanting(&registry).await, &way)?;
        let (missing, damaged) = found.map_or_else(Default::default, |wanting| {
            (wanting.images, wanting.damaged)
        });
        let ahead: u64 = missing.iter().map(|(_, entry)| size(entry)).sum();
        cx.progress
            .add(self.bytes().unwrap_or_default().saturating_sub(ahead));
        let images = self.read(missing).await?;
        self.remove(cx, &damaged).await?;
        let push = Push::new(&registry, &self.layout, &cx.progress);
        explained(push.blobs(&images).await, &way)?;
        explained(push.manifests(&images).await, &way)
    }

    /// They go with the registry's data.
    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Each image under its name in the registry.
pub(crate) fn named(
    names: &SiteNames,
    images: &[ImageEntry],
) -> Result<Vec<(SiteImage, Sha256)>, StepError> {
    let pairs = images.iter().map(|entry| {
        let name = SiteImage::of(names, &entry.reference, entry.digest)
            .map_err(|error| StepError::new(error.to_string()))?;
        Ok((name, entry.digest))
    });
    pairs.collect()
}

pub(crate) async fn connect(
    site: &SiteRegistry,
    credentials: Option<RegistryCredentials>,
    way: &Way,
) -> Result<Registry, StepError> {
    let roots = site.trust.read().await?;
    Ok(Registry::connect(site, roots.as_deref(), credentials, way)?)
}

pub(crate) async fn way(site: &SiteRegistry, cx: &Cx) -> Result<Way, StepError> {
    let port = site.port().unwrap_or_default();
    Ok(cx.host.way_to(port).await?)
}

/// Behind a bastion a connection that cannot be made only closes; why is known to the way there.
pub(crate) fn explained<T, E: Into<StepError>>(
    result: Result<T, E>,
    way: &Way,
) -> Result<T, StepError> {
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
