use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, State, Step, StepError};
use host::{Command, FileAttrs, Owner, Source};

use crate::shell::must;
use crate::{Content, KeyPairFiles, UploadFile};

/// Puts a certificate and its key in place together: a service that reads them at any moment must not find one of them
/// new and the other old. Whoever is killed in between leaves the pair of before.
pub struct UploadKeyPair {
    pub from: KeyPairFiles,
    /// Without its suffix.
    pub to: Utf8PathBuf,
    pub owner: Owner,
}

impl UploadKeyPair {
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

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for (_, file) in self.files() {
            if let State::Needed(reason) = file.check(cx).await? {
                return Ok(State::needed(reason));
            }
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let mut moves = Vec::new();
        for (local, file) in self.files() {
            let beside: Utf8PathBuf = format!("{}.new", file.path).into();
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
}
