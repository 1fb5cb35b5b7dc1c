//! A registry that was there before: whether it will do, and as whom it is spoken to.

use async_trait::async_trait;
use engine::{Cx, Question, Slot, SlotId, State, StepError};

use super::push_images::{connect, explained, way};
use super::{PrepareRegistryCredentials, RegistryCredentials, SiteRegistry};

/// As whom the operator's machine speaks to the site's registry.
#[derive(Clone, Debug)]
pub enum RegistryLogin {
    /// An earlier step finds it out.
    Prepared(Slot<RegistryCredentials>),
    /// It has been found out by an earlier run.
    Kept(PrepareRegistryCredentials),
    /// The config gives it, or there is none.
    Given(Option<RegistryCredentials>),
}

/// How a registry takes a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginManner {
    /// With each request.
    #[default]
    Basic,
    /// It gives a token for it.
    Token,
}

impl From<Slot<RegistryCredentials>> for RegistryLogin {
    fn from(slot: Slot<RegistryCredentials>) -> Self {
        Self::Prepared(slot)
    }
}

impl From<PrepareRegistryCredentials> for RegistryLogin {
    fn from(kept: PrepareRegistryCredentials) -> Self {
        Self::Kept(kept)
    }
}

impl RegistryLogin {
    pub(crate) fn takes(&self) -> Vec<SlotId> {
        match self {
            Self::Prepared(slot) => vec![slot.id()],
            Self::Kept(_) | Self::Given(_) => Vec::new(),
        }
    }

    pub(crate) async fn found(&self) -> Result<Option<RegistryCredentials>, StepError> {
        match self {
            Self::Given(given) => Ok(given.clone()),
            Self::Kept(kept) => kept.found().await.map(Some),
            Self::Prepared(slot) => {
                let filled = slot.get().cloned().map(Some);
                filled.ok_or_else(|| {
                    StepError::new("the registry's credentials have not been prepared")
                })
            }
        }
    }
}

/// Whether a registry answers, lets both accounts in, and takes what will be pushed: an upload is begun in each place, and given up.
pub struct AskRegistry {
    pub site: SiteRegistry,
    pub push: Option<RegistryCredentials>,
    /// Who pulls on the nodes, where it is another account.
    pub pull: Option<RegistryCredentials>,
    /// One for each project that images go to.
    pub repositories: Vec<String>,
}

#[async_trait]
impl Question for AskRegistry {
    fn id(&self) -> String {
        format!("ask {}", self.site.url)
    }

    fn describe(&self) -> String {
        format!("{} can be pushed to", self.site.names.authority)
    }

    fn inputs(&self) -> String {
        format!("{:?}\n{}", self.site, self.repositories.join("\n"))
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, self.push.clone(), &way).await?;
        explained(registry.log_in().await, &way)?;
        for repository in &self.repositories {
            explained(registry.may_push(repository).await, &way)?;
        }
        if let Some(pull) = &self.pull {
            let registry = connect(&self.site, Some(pull.clone()), &way).await?;
            let let_in = explained(registry.log_in().await, &way);
            let_in.map_err(|error| named(&error, &pull.username))?;
        }
        cx.progress.seen("answers, and may be pushed to", None);
        Ok(State::Satisfied)
    }
}

/// Of two accounts, which one it is about.
fn named(error: &StepError, username: &str) -> StepError {
    let told = StepError::new(format!("the account '{username}', for nodes: {error}"));
    match error.hint() {
        Some(hint) => told.with_hint(hint.to_owned()),
        None => told,
    }
}

/// Finds out how a registry takes the login of the nodes: not every runtime can do both with one file.
pub struct LearnLogin {
    pub site: SiteRegistry,
    pub login: Option<RegistryCredentials>,
    pub manner: Slot<LoginManner>,
}

#[async_trait]
impl Question for LearnLogin {
    fn id(&self) -> String {
        "registry login".to_owned()
    }

    fn describe(&self) -> String {
        "how the registry takes the nodes' login".to_owned()
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.manner.id()]
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let way = way(&self.site, cx).await?;
        let registry = connect(&self.site, self.login.clone(), &way).await?;
        let manner = explained(registry.log_in().await, &way)?;
        self.manner.fill(manner);
        Ok(State::Satisfied)
    }
}
