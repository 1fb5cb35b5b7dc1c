use std::sync::Arc;

use artifact::Sha256;
use async_trait::async_trait;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, SlotId, State, Step, StepError};
use host::{Command, FileAttrs, Source};

use crate::TakeBack;
use crate::before::{self, Resource};
use crate::file::fetch::FetchFiles;
use crate::pki::signer;
use crate::shell::ask;

/// What a file shall hold.
#[derive(Clone)]
pub enum Content {
    /// Known when the plan is made.
    Text(String),
    /// A file of the operator's machine that an earlier step makes, e.g. a certificate.
    Local(Utf8PathBuf),
    /// Of such a file that holds several certificates the one that signs: who signs by it knows one alone.
    Signer(Utf8PathBuf),
    /// Rendered from what an earlier step fills in.
    Late {
        takes: Vec<SlotId>,
        render: Arc<dyn Fn() -> Result<String, StepError> + Send + Sync>,
    },
}

impl Content {
    pub(crate) fn inputs(&self) -> String {
        match self {
            Self::Text(text) => Sha256::of(text.as_bytes()).to_string(),
            Self::Local(path) | Self::Signer(path) => path.to_string(),
            Self::Late { .. } => String::new(),
        }
    }

    pub(crate) fn takes(&self) -> Vec<SlotId> {
        match self {
            Self::Late { takes, .. } => takes.clone(),
            Self::Text(_) | Self::Local(_) | Self::Signer(_) => Vec::new(),
        }
    }

    /// The SHA-256 of what is put there, as soon as that can be said.
    ///
    /// # Errors
    ///
    /// If the local file is not there, or what it is rendered from.
    pub fn digest(&self) -> Result<Sha256, StepError> {
        self.bytes().map(|bytes| Sha256::of(&bytes))
    }

    pub(crate) fn bytes(&self) -> Result<Bytes, StepError> {
        match self {
            Self::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Self::Local(path) => read(path),
            Self::Signer(path) => {
                let signer = signer(&read(path)?).ok_or_else(|| {
                    StepError::new(format!("{path} holds no certificate that is whole"))
                });
                signer.map(Bytes::from)
            }
            Self::Late { render, .. } => render().map(Bytes::from),
        }
    }
}

fn read(path: &Utf8Path) -> Result<Bytes, StepError> {
    std::fs::read(path)
        .map(Bytes::from)
        .map_err(|error| StepError::new(format!("cannot read {path}: {error}")))
}

/// Puts a small file in place with its mode and owner; one that was there before is kept for its counterpart. Idempotent: what is there already, byte for byte, stays.
pub struct UploadFile {
    pub path: Utf8PathBuf,
    pub content: Content,
    pub attrs: FileAttrs,
}

impl UploadFile {
    /// Writes it, whatever was there before.
    pub(crate) async fn put(&self, cx: &Cx) -> Result<(), StepError> {
        let source = Source::Bytes(self.content.bytes()?);
        Ok(cx
            .host
            .upload(&source, &self.path, &self.attrs, &cx.progress)
            .await?)
    }
}

#[async_trait]
impl Step for UploadFile {
    fn id(&self) -> String {
        format!("upload {}", self.path)
    }

    fn describe(&self) -> String {
        format!("write {}", self.path)
    }

    fn inputs(&self) -> String {
        self.content.inputs()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.content.takes()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if let Content::Local(local) | Content::Signer(local) = &self.content
            && !local.exists()
        {
            return Ok(State::needed("is not made yet"));
        }
        let path = host::quote(self.path.as_str());
        let script =
            format!("[ -f {path} ] || exit 3; stat -c '%a %U %G' {path} && sha256sum < {path}");
        let output = ask(cx, Command::script(script)).await?;
        if !output.ok() {
            return Ok(State::needed("is not there"));
        }
        let text = output.text();
        let mut lines = text.lines();
        let attrs = lines.next().unwrap_or_default();
        let digest = lines.next().and_then(|line| line.split_whitespace().next());
        if digest != Some(&*self.content.digest()?.to_string()) {
            return Ok(State::needed("differs"));
        }
        let FileAttrs { mode, owner } = &self.attrs;
        let wanted = format!("{mode:o} {} {}", owner.user, owner.group);
        Ok(if attrs == wanted {
            State::Satisfied
        } else {
            State::needed(format!("mode and owner are {attrs}, not {wanted}"))
        })
    }

    /// A file that is not there yet is nobody's.
    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        let there = Command::new(["test", "-e", self.path.as_str()]);
        Ok(ask(cx, there).await?.ok())
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &[Resource::File(self.path.clone())]).await?;
        self.put(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        Some(TakeBack::file(&self.path))
    }

    fn origin(&self, below: &Utf8Path) -> Option<Arc<dyn Step>> {
        let Content::Local(local) = &self.content else {
            return None;
        };
        let files = vec![(self.path.clone(), local.clone())];
        local
            .starts_with(below)
            .then(|| Arc::new(FetchFiles { files }) as Arc<dyn Step>)
    }
}
