use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, State, Step, StepError};
use host::{Command, FileAttrs, Owner, Source};

use crate::before::{self, Resource};
use crate::file::fetch::FetchFiles;
use crate::shell::must;
use crate::{Content, KeyPairFiles, TakeBack, UploadFile};

/// Puts a certificate and its key in place together: a service that reads them at any moment must not find one of them
/// new and the other old. Whoever is killed in between leaves the pair of before.
pub struct UploadKeyPair {
    pub from: KeyPairFiles,
    /// Without its suffix.
    pub to: Utf8PathBuf,
    pub owner: Owner,
}

impl UploadKeyPair {
    fn resources(&self) -> Vec<Resource> {
        let paths = self
            .files()
            .map(|(_, file)| [beside(&file.path), file.path]);
        paths.into_iter().flatten().map(Resource::File).collect()
    }

    fn files(&self) -> [(Utf8PathBuf, UploadFile); 2] {
        let sides = [
            (self.from.certificate(), "crt", 0o644),
            (self.from.key(), "key", 0o600),
        ];
        sides.map(|(local, suffix, mode)| {
            let file = UploadFile {
                path: format!("{}.{suffix}", self.to).into(),
                content: Content::Local(local.clone()),
                attrs: FileAttrs {
                    mode,
                    owner: self.owner.clone(),
                },
            };
            (local, file)
        })
    }
}

/// Where a file lies until both are there.
fn beside(path: &Utf8Path) -> Utf8PathBuf {
    format!("{path}.new").into()
}

#[async_trait]
impl Step for UploadKeyPair {
    fn id(&self) -> String {
        format!("upload {}.crt and .key", self.to)
    }

    fn describe(&self) -> String {
        format!("write {}.crt and .key", self.to)
    }

    fn inputs(&self) -> String {
        self.from.certificate().to_string()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for (_, file) in self.files() {
            if let State::Needed(reason) = file.check(cx).await? {
                return Ok(State::needed(reason));
            }
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        before::note(cx, &self.resources()).await?;
        let mut moves = Vec::new();
        for (local, file) in self.files() {
            let beside = beside(&file.path);
            let source = Source::File(local);
            cx.host
                .upload(&source, &beside, &file.attrs, &cx.progress)
                .await?;
            moves.push(Command::new([
                "mv",
                "-f",
                beside.as_str(),
                file.path.as_str(),
            ]));
        }
        let both: Vec<&str> = moves.iter().map(Command::text).collect();
        let both = Command::script(both.join(" && "));
        must(cx, "put the certificate and its key in place", both)
            .await
            .map(drop)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        let title = format!("remove {}.crt and .key", self.to);
        Some(TakeBack::step(title, self.resources()))
    }

    fn origin(&self, below: &Utf8Path) -> Option<Arc<dyn Step>> {
        let files = self.files().map(|(local, file)| (file.path, local));
        let within = files.iter().all(|(_, local)| local.starts_with(below));
        within.then(|| {
            Arc::new(FetchFiles {
                files: files.into(),
            }) as Arc<dyn Step>
        })
    }
}
