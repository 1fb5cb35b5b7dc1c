use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use rcgen::KeyPair;
use secrecy::zeroize::Zeroizing;

use crate::RemoveLocal;
use crate::local_file::{self, blocking};
use crate::pki::{KeyFile, PkiError, members, read_key, write_key};

/// The key by which the cluster signs the tokens of its service accounts, and its public half, on the operator's
/// machine: `<stem>.key` and `<stem>.pub`.
///
/// Idempotent: a key that exists is kept, whoever made it: with another, no token of the cluster would be good any more.
#[derive(Clone, Debug)]
pub struct ServiceAccountKey {
    stem: Utf8PathBuf,
}

impl ServiceAccountKey {
    #[must_use]
    pub fn at(stem: impl Into<Utf8PathBuf>) -> Self {
        Self { stem: stem.into() }
    }

    #[must_use]
    pub fn key(&self) -> Utf8PathBuf {
        format!("{}.key", self.stem).into()
    }

    #[must_use]
    pub fn public(&self) -> Utf8PathBuf {
        format!("{}.pub", self.stem).into()
    }

    fn find(&self) -> Result<Option<Zeroizing<KeyPair>>, PkiError> {
        let (key, public) = (self.key(), self.public());
        match read_key(&key)? {
            KeyFile::Key(pair) => Ok(Some(pair)),
            KeyFile::Unreadable => Err(PkiError::NoKey { path: key }),
            KeyFile::Missing if public.exists() => Err(PkiError::PublicAlone { public, key }),
            KeyFile::Missing => Ok(None),
        }
    }

    fn state(&self) -> Result<State, PkiError> {
        let Some(pair) = self.find()? else {
            return Ok(State::needed("there is none yet"));
        };
        Ok(if !self.is_known(&pair)? {
            State::needed("its public half is not beside it")
        } else if local_file::is_open_to_others(&self.key())? {
            State::needed("others can read it")
        } else {
            State::Satisfied
        })
    }

    /// While another follows, that one's public half is there as well.
    fn is_known(&self, pair: &KeyPair) -> Result<bool, PkiError> {
        let public = local_file::read(&self.public())?.unwrap_or_default();
        let own = members(pair.public_key_pem().as_bytes());
        Ok(own.is_subset(&members(&public)))
    }

    pub(super) fn bring_about(&self) -> Result<(), PkiError> {
        let pair = if let Some(pair) = self.find()? {
            pair
        } else {
            let make = |why| PkiError::MakeKey {
                path: self.key(),
                why,
            };
            let pair = Zeroizing::new(KeyPair::generate().map_err(make)?);
            write_key(&self.key(), &pair)?;
            pair
        };
        if !self.is_known(&pair)? {
            local_file::write(&self.public(), 0o644, pair.public_key_pem().as_bytes())?;
        }
        Ok(local_file::close_to_others(&self.key())?)
    }
}

#[async_trait]
impl Step for ServiceAccountKey {
    fn id(&self) -> String {
        format!("service account key {}", self.key())
    }

    fn describe(&self) -> String {
        "make the key that signs service accounts' tokens".to_owned()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let this = self.clone();
        blocking(move || this.state()).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.clone();
        blocking(move || this.bring_about()).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let title = "remove the key that signs service accounts' tokens";
        (data == Data::Purge).then(|| RemoveLocal::step(title, [self.key(), self.public()]))
    }
}
