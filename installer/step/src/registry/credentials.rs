use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, Slot, SlotId, State, Step, StepError};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::RemoveLocal;
use crate::local_file::{self, FileError, blocking};

/// Who may use the site's registry.
#[derive(Clone, Debug)]
pub struct RegistryCredentials {
    pub username: String,
    pub password: SecretString,
}

/// Finds out who may use the site's registry, and writes the registry's `htpasswd` for it.
///
/// What the config gives is taken. Otherwise a random password is made once and kept beside the `htpasswd`.
/// Idempotent: the `htpasswd` is kept as long as it lets the password in.
#[derive(Clone, Debug)]
pub struct PrepareRegistryCredentials {
    of: RegistryUser,
    dir: Utf8PathBuf,
    given: Option<RegistryCredentials>,
    slot: Slot<RegistryCredentials>,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryUser {
    /// Who pushes; and who pulls, where nobody else is there.
    Kubexm,
    /// The nodes, which only read.
    Nodes,
    /// Who looks after Harbor.
    HarborAdmin,
    /// Harbor's database.
    HarborDatabase,
    /// Who pushes to Harbor.
    HarborRobot,
    /// The nodes at Harbor.
    HarborNodes,
}

impl RegistryUser {
    const fn name(self) -> &'static str {
        match self {
            Self::Kubexm => "kubexm",
            Self::Nodes => "kubexm-nodes",
            Self::HarborAdmin => "admin",
            Self::HarborDatabase => "postgres",
            Self::HarborRobot => "robot$kubexm",
            Self::HarborNodes => "robot$kubexm-nodes",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Kubexm => "registry credentials",
            Self::Nodes => "registry credentials of nodes",
            Self::HarborAdmin => "Harbor's administrator",
            Self::HarborDatabase => "Harbor's database",
            Self::HarborRobot => "Harbor's robot that pushes",
            Self::HarborNodes => "Harbor's robot of nodes",
        }
    }

    /// Whether the registry reads who may come in from a file; others are told.
    const fn is_in_file(self) -> bool {
        matches!(self, Self::Kubexm | Self::Nodes)
    }
}

/// The registry computes the hash for every single request. What people choose is worth that; a random password of
/// 170 bits gains nothing by it.
const COST_GIVEN: u32 = 10;
const COST_RANDOM: u32 = 5;
const RANDOM_LENGTH: usize = 32;
/// Harbor takes no password without.
const ONE_OF_EACH_KIND: &str = "aA1";

#[derive(Debug, thiserror::Error)]
enum CredentialsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0} is damaged")]
    Damaged(Utf8PathBuf),
    #[error("the registry's user name '{0}' must not be empty or hold a colon or a line break")]
    Username(String),
    #[error("the registry's password is longer than the 72 bytes that bcrypt takes")]
    TooLong,
    #[error("the registry's password cannot be hashed: {0}")]
    Hash(bcrypt::BcryptError),
}

impl From<CredentialsError> for StepError {
    fn from(error: CredentialsError) -> Self {
        let hint = match &error {
            CredentialsError::File(error) => error.hint(),
            CredentialsError::Damaged(path) => Some(format!(
                "remove {path}, and the next run makes a new password"
            )),
            _ => None,
        };
        let step = Self::new(error.to_string());
        match hint {
            Some(hint) => step.with_hint(hint),
            None => step,
        }
    }
}

/// The file that keeps a random password, as it is written.
#[derive(Serialize)]
struct Keep<'a> {
    username: &'a str,
    password: &'a str,
}

/// The same as it is read.
#[derive(Deserialize)]
struct Kept {
    username: String,
    password: SecretString,
}

/// What the file holds that keeps a password.
pub(crate) fn kept(username: &str, password: &str) -> Zeroizing<Vec<u8>> {
    serde_json::to_vec(&Keep { username, password })
        .map(Zeroizing::new)
        .expect("two strings are JSON")
}

impl PrepareRegistryCredentials {
    /// `dir` is `certs/registry/` of the tree.
    #[must_use]
    pub fn new(
        dir: impl Into<Utf8PathBuf>,
        given: Option<RegistryCredentials>,
        slot: Slot<RegistryCredentials>,
    ) -> Self {
        Self {
            of: RegistryUser::Kubexm,
            dir: dir.into(),
            given,
            slot,
        }
    }

    /// The same for somebody else.
    #[must_use]
    pub fn of(self, of: RegistryUser) -> Self {
        Self { of, ..self }
    }

    /// The file that the registry reads.
    #[must_use]
    pub fn htpasswd(&self) -> Utf8PathBuf {
        self.dir.join("htpasswd")
    }

    /// Where a random password is kept.
    #[must_use]
    pub fn kept(&self) -> Utf8PathBuf {
        self.dir.join("credentials.json")
    }

    /// What is known already.
    fn known(&self) -> Result<Option<RegistryCredentials>, CredentialsError> {
        if let Some(given) = &self.given {
            let bad = |c: char| c == ':' || c.is_control();
            if given.username.is_empty() || given.username.contains(bad) {
                return Err(CredentialsError::Username(given.username.clone()));
            }
            return Ok(Some(given.clone()));
        }
        let path = self.kept();
        let Some(bytes) = local_file::read(&path)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|_| CredentialsError::Damaged(path))?;
        Ok(Some(RegistryCredentials {
            username: kept.username,
            password: kept.password,
        }))
    }

    /// What is known already, for whoever makes none.
    pub(crate) async fn found(&self) -> Result<RegistryCredentials, StepError> {
        let this = self.clone();
        let path = self.kept();
        let known = blocking(move || this.known()).await?;
        known.ok_or_else(|| {
            StepError::new(format!(
                "there are no credentials of the registry in {path}"
            ))
            .with_hint("check from the work directory that the cluster was installed from")
        })
    }

    fn make(&self) -> Result<RegistryCredentials, CredentialsError> {
        let random = RANDOM_LENGTH - ONE_OF_EACH_KIND.len();
        let mut password = Alphanumeric.sample_string(&mut rand::rng(), random);
        password.push_str(ONE_OF_EACH_KIND);
        let made = RegistryCredentials {
            username: self.of.name().to_owned(),
            password: SecretString::from(password),
        };
        let json = kept(&made.username, made.password.expose_secret());
        local_file::write(&self.kept(), 0o600, &json)?;
        Ok(made)
    }

    fn state(&self) -> Result<(State, Option<RegistryCredentials>), CredentialsError> {
        let Some(credentials) = self.known()? else {
            return Ok((State::needed("no password has been made yet"), None));
        };
        if !self.of.is_in_file() {
            return Ok((State::Satisfied, Some(credentials)));
        }
        let state = match local_file::read(&self.htpasswd())? {
            None => State::needed("there is no htpasswd yet"),
            Some(file) if lets_in(&file, &credentials) => State::Satisfied,
            Some(_) => State::needed("htpasswd is for another user or password"),
        };
        Ok((state, Some(credentials)))
    }

    fn bring_about(&self) -> Result<(), CredentialsError> {
        let credentials = match self.known()? {
            Some(credentials) => credentials,
            None => self.make()?,
        };
        if !self.of.is_in_file() {
            return Ok(());
        }
        let cost = if self.given.is_some() {
            COST_GIVEN
        } else {
            COST_RANDOM
        };
        let hash = bcrypt::non_truncating_hash(credentials.password.expose_secret(), cost)
            .map_err(|error| match error {
                bcrypt::BcryptError::Truncation(_) => CredentialsError::TooLong,
                error => CredentialsError::Hash(error),
            })?;
        let mut line = credentials.username;
        let _ = writeln!(line, ":{hash}");
        local_file::write(&self.htpasswd(), 0o600, line.as_bytes())?;
        Ok(())
    }
}

/// Whether a `htpasswd` lets this user in, and nobody else.
fn lets_in(file: &[u8], credentials: &RegistryCredentials) -> bool {
    let Ok(text) = std::str::from_utf8(file) else {
        return false;
    };
    let Some((username, hash)) = text.trim_end_matches('\n').split_once(':') else {
        return false;
    };
    username == credentials.username
        && bcrypt::non_truncating_verify(credentials.password.expose_secret(), hash)
            .unwrap_or(false)
}

#[async_trait]
impl Step for PrepareRegistryCredentials {
    fn id(&self) -> String {
        self.of.title().to_owned()
    }

    fn describe(&self) -> String {
        match self.of {
            RegistryUser::Kubexm => "prepare the registry's credentials".to_owned(),
            RegistryUser::Nodes => "prepare the registry's credentials for nodes".to_owned(),
            other => format!("prepare the password of {}", other.title()),
        }
    }

    fn fills(&self) -> Vec<SlotId> {
        vec![self.slot.id()]
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let this = self.clone();
        let (state, credentials) = blocking(move || this.state()).await?;
        if let (State::Satisfied, Some(credentials)) = (&state, credentials) {
            self.slot.fill(credentials);
        }
        Ok(state)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.clone();
        blocking(move || this.bring_about()).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let title = match self.of {
            RegistryUser::Kubexm => "remove the registry's credentials".to_owned(),
            RegistryUser::Nodes => "remove the registry's credentials of nodes".to_owned(),
            other => format!("remove the password of {}", other.title()),
        };
        let files = || [self.htpasswd(), self.kept()];
        (data == Data::Purge).then(|| RemoveLocal::step(title, files()))
    }
}
