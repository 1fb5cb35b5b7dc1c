use artifact::ImageEntry;
use async_trait::async_trait;
use engine::{Cx, Question, Retry, State, StepError};

use super::{all_well, count};
use crate::registry::push_images::{connect, explained, named, way};
use crate::registry::{Flaw, RegistryLogin, SiteRegistry, look};

/// The site's registry holds every image of the bundle, each manifest byte for byte and each blob with its size: what was
/// pulled long ago works on, and what has yet to be pulled shows only then that a file is empty.
pub struct ProveRegistry {
    pub site: SiteRegistry,
    pub login: RegistryLogin,
    pub images: Vec<ImageEntry>,
    pub patience: Retry,
}

#[async_trait]
impl Question for ProveRegistry {
    fn id(&self) -> String {
        "prove registry".to_owned()
    }

    fn describe(&self) -> String {
        "the registry holds all images whole".to_owned()
    }

    fn retry(&self) -> Retry {
        self.patience
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let credentials = self.login.found().await?;
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, credentials, &way).await?;
        let named = named(&self.site.names, &self.images)?;
        let faults = explained(look(&registry, &named).await, &way)?;
        let mut troubles: Vec<String> = faults
            .into_iter()
            .map(|fault| {
                let (name, _) = &named[fault.image];
                match fault.flaw {
                    Flaw::Lacking => format!("the registry lacks {name}"),
                    Flaw::Damaged { why, .. } => format!("{name} is damaged: {why}"),
                }
            })
            .collect();
        troubles.dedup();
        all_well(&troubles).map_err(|error| {
            error.with_hint("kubexm install pushes again what is missing or damaged")
        })?;
        let images = count(named.len() as u64, "image");
        cx.progress.seen(format!("{images} whole"), None);
        Ok(State::Satisfied)
    }
}
