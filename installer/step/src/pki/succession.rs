//! How an authority gives way to another without anybody being shut out: trusted first, signing then, alone at last.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use secrecy::zeroize::Zeroizing;

use super::{Authority, KeyPairFiles, PkiError, ServiceAccountKey, signer_name};
use crate::local_file::{self, blocking};

/// The moves of a rotation, in their order. Behind each of them everybody gets on with everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Move {
    /// The new one is trusted beside the old one, which still signs.
    Trust,
    /// The new one signs, and the old one is still trusted.
    Issue,
    /// The new one is trusted alone.
    Drop,
}

impl Move {
    pub const ALL: [Self; 3] = [Self::Trust, Self::Issue, Self::Drop];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Issue => "issue",
            Self::Drop => "drop",
        }
    }
}

/// An authority of the site, or the key of its service accounts, and the one that follows it. While it lasts, both lie in
/// `<stem>.rotation/` on the operator's machine, for its owner alone; what `<stem>` itself holds follows from them.
#[derive(Clone, Debug)]
pub struct Succession {
    stem: Utf8PathBuf,
    of: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// With the common name of the new one.
    Authority(String),
    ServiceAccounts,
}

impl Succession {
    #[must_use]
    pub fn of_authority(stem: impl Into<Utf8PathBuf>, common_name: impl Into<String>) -> Self {
        Self {
            stem: stem.into(),
            of: Kind::Authority(common_name.into()),
        }
    }

    #[must_use]
    pub fn of_service_accounts(stem: impl Into<Utf8PathBuf>) -> Self {
        Self {
            stem: stem.into(),
            of: Kind::ServiceAccounts,
        }
    }

    fn suffix(&self) -> &'static str {
        match self.of {
            Kind::Authority(_) => "crt",
            Kind::ServiceAccounts => "pub",
        }
    }

    fn directory(&self) -> Utf8PathBuf {
        format!("{}.rotation", self.stem).into()
    }

    fn title(&self) -> String {
        KeyPairFiles::at(&self.stem).title()
    }

    /// The stem of the old or the new one.
    fn side(&self, name: &str) -> Utf8PathBuf {
        self.directory().join(name)
    }

    /// What may be known, and the key.
    fn halves(&self, stem: &Utf8PathBuf) -> (Utf8PathBuf, Utf8PathBuf) {
        let suffix = self.suffix();
        (
            format!("{stem}.{suffix}").into(),
            format!("{stem}.key").into(),
        )
    }

    /// How far it has come here; nowhere where none has begun.
    ///
    /// # Errors
    ///
    /// If files cannot be read, or hold neither the old nor the new one.
    pub fn stand(&self) -> Result<Option<Move>, StepError> {
        let Some(both) = self.both()? else {
            return Ok(None);
        };
        let (public, _) = self.halves(&self.stem);
        let found = local_file::read(&public)?.unwrap_or_default();
        let holds = |to: &Move| both.wanted(*to).0.as_bytes() == found;
        if let Some(stand) = Move::ALL.iter().find(|to| holds(to)) {
            return Ok(Some(*stand));
        }
        if both.old.public.as_bytes() == found {
            return Ok(Some(Move::Trust));
        }
        Err(StepError::new(format!(
            "{public} holds neither what is in {} nor both of it",
            self.directory()
        ))
        .with_hint(format!(
            "put {public} and its key back as they were when the rotation was cut short, from a backup"
        )))
    }

    /// The name of the one that goes, where one does and certificates name it.
    pub(super) fn predecessor(&self) -> Result<Option<String>, PkiError> {
        Ok(self
            .both()?
            .and_then(|both| signer_name(both.old.public.as_bytes())))
    }

    /// The old and the new one, as soon as both are there.
    fn both(&self) -> Result<Option<Both>, PkiError> {
        let read = |name: &str| -> Result<Option<Whole>, PkiError> {
            let (public, key) = self.halves(&self.side(name));
            let public = local_file::read(&public)?;
            let key = local_file::read(&key)?.map(Zeroizing::new);
            let public = public.map(|public| String::from_utf8_lossy(&public).into_owned());
            Ok(public.zip(key).map(|(public, key)| Whole { public, key }))
        };
        let (old, new) = (read("old")?, read("new")?);
        Ok(old.zip(new).map(|(old, new)| Both { old, new }))
    }

    fn prepare(&self) -> Result<(), StepError> {
        let (public, key) = self.halves(&self.stem);
        let (old_public, old_key) = self.halves(&self.side("old"));
        let missing = |path: &Utf8PathBuf| {
            StepError::new(format!(
                "{path} is missing: nothing can follow what is not whole"
            ))
            .with_hint("put it back from a backup, or from the machine that installed the site")
        };
        // The certificate comes last: where it is there, its key is.
        for (from, to) in [(&key, &old_key), (&public, &old_public)] {
            let bytes = local_file::read(from)?.map(Zeroizing::new);
            let bytes = bytes.ok_or_else(|| missing(from))?;
            local_file::write(to, 0o600, &bytes)?;
        }
        let new = self.side("new");
        match &self.of {
            Kind::Authority(common_name) => {
                Authority::create(&KeyPairFiles::at(new), common_name, None)?;
            }
            Kind::ServiceAccounts => ServiceAccountKey::at(new).bring_about()?,
        }
        Ok(())
    }

    fn bring_to(&self, to: Move) -> Result<(), StepError> {
        let Some(both) = self.both()? else {
            return Err(StepError::new(format!(
                "there is no successor of {}",
                self.title()
            )));
        };
        let (public, key) = self.halves(&self.stem);
        let (wanted, signs) = both.wanted(to);
        local_file::write(&key, 0o600, signs)?;
        Ok(local_file::write(&public, 0o644, wanted.as_bytes())?)
    }

    fn is_at(&self, to: Move) -> Result<State, StepError> {
        let Some(both) = self.both()? else {
            return Ok(State::needed("its successor is not made yet"));
        };
        let (public, key) = self.halves(&self.stem);
        let (wanted, signs) = both.wanted(to);
        let found = local_file::read(&public)?.unwrap_or_default();
        let found_key = Zeroizing::new(local_file::read(&key)?.unwrap_or_default());
        Ok(if found != wanted.as_bytes() || *found_key != signs {
            State::needed(match to {
                Move::Trust => "the new one is not trusted yet",
                Move::Issue => "the old one still signs",
                Move::Drop => "the old one is still trusted",
            })
        } else {
            State::Satisfied
        })
    }
}

/// What may be known, and its key.
struct Whole {
    public: String,
    key: Zeroizing<Vec<u8>>,
}

struct Both {
    old: Whole,
    new: Whole,
}

impl Both {
    /// What is trusted, the one that signs first, and the key that signs.
    fn wanted(&self, to: Move) -> (String, &[u8]) {
        let line = |text: &str| format!("{}\n", text.trim_end());
        let (old, new) = (line(&self.old.public), line(&self.new.public));
        match to {
            Move::Trust => (old + &new, &self.old.key),
            Move::Issue => (new + &old, &self.new.key),
            Move::Drop => (new, &self.new.key),
        }
    }
}

/// Makes the successor, and keeps the old one beside it. Idempotent: one that is there is the one.
pub struct PrepareSuccessor(pub Succession);

#[async_trait]
impl Step for PrepareSuccessor {
    fn id(&self) -> String {
        format!("successor of {}", self.0.title())
    }

    fn describe(&self) -> String {
        format!("make the successor of {}", self.0.title())
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let this = self.0.clone();
        let both = blocking(move || this.both()).await?;
        Ok(match both {
            Some(_) => State::Satisfied,
            None => State::needed("there is none yet"),
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.0.clone();
        blocking(move || this.prepare()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Has the operator's machine trust and sign as this move would have it. Killed between the two files, the next run writes
/// both again.
pub struct Succeed {
    pub of: Succession,
    pub to: Move,
}

#[async_trait]
impl Step for Succeed {
    fn id(&self) -> String {
        format!("{} of {}", self.to.name(), self.of.title())
    }

    fn describe(&self) -> String {
        let title = self.of.title();
        match self.to {
            Move::Trust => format!("trust the successor of {title} as well"),
            Move::Issue => format!("sign by the successor of {title}"),
            Move::Drop => format!("trust the successor of {title} alone"),
        }
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let (this, to) = (self.of.clone(), self.to);
        blocking(move || this.is_at(to)).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let (this, to) = (self.of.clone(), self.to);
        blocking(move || this.bring_to(to)).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Lets go of the old one, when nobody needs it any more.
pub struct ForgetPredecessor(pub Succession);

#[async_trait]
impl Step for ForgetPredecessor {
    fn id(&self) -> String {
        format!("forget the predecessor of {}", self.0.title())
    }

    fn describe(&self) -> String {
        format!(
            "remove the predecessor of {} from this machine",
            self.0.title()
        )
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(if self.0.directory().exists() {
            State::needed("its key is still here")
        } else {
            State::Satisfied
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let directory = self.0.directory();
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StepError::new(format!(
                "cannot remove {directory}: {error}"
            ))),
            _ => Ok(()),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
