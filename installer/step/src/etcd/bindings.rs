//! What the content of a store goes with: under other authorities and keys much of it is worth nothing.

use std::collections::BTreeMap;

use artifact::Sha256;
use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Cx, Question, State, StepError};
use serde::{Deserialize, Serialize};

use crate::local_file;
use crate::pki::public_key;

/// Digests of what a snapshot goes with. None of them tells a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Bindings {
    /// Of the public key of each, by its file in `certs/`.
    pub authorities: BTreeMap<String, Sha256>,
    /// Of the file that apiservers encrypt by, where the host of the snapshot has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Sha256>,
}

/// Where they are had from.
#[derive(Clone, Debug, Default)]
pub struct BindingFiles {
    /// On the operator's machine, by what they are called in the note.
    pub authorities: Vec<(String, Utf8PathBuf)>,
    /// On each master.
    pub encryption: Option<Utf8PathBuf>,
}

impl BindingFiles {
    /// Those of the authorities that this machine has.
    pub fn authorities(&self) -> Result<BTreeMap<String, Sha256>, StepError> {
        let mut all = BTreeMap::new();
        for (name, path) in &self.authorities {
            if let Some(bytes) = local_file::read(path)? {
                // A certificate that was made anew for the same key is the same authority.
                let digest =
                    public_key(&bytes).map_or_else(|_| Sha256::of(&bytes), |key| Sha256::of(&key));
                all.insert(name.clone(), digest);
            }
        }
        Ok(all)
    }

    pub(crate) async fn bindings(&self, cx: &Cx) -> Result<Bindings, StepError> {
        let encryption = match &self.encryption {
            Some(path) => cx.host.read(path).await?,
            None => None,
        };
        Ok(Bindings {
            authorities: self.authorities()?,
            encryption: encryption.map(|bytes| Sha256::of(&bytes)),
        })
    }
}

/// Sees that a master encrypts by the keys that a snapshot was taken with: what it has encrypted is unreadable by others.
pub struct InsistOnEncryption {
    /// As the apiserver's argument names it.
    pub path: Option<Utf8PathBuf>,
    pub wanted: Sha256,
}

#[async_trait]
impl Question for InsistOnEncryption {
    fn id(&self) -> String {
        "insist on the keys of encryption".to_owned()
    }

    fn describe(&self) -> String {
        "see that Secrets of the snapshot can be read".to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let hint = "put the file in place that the masters had when the snapshot was taken; --other-authorities restores all the same";
        let Some(path) = &self.path else {
            return Err(StepError::new(
                "the snapshot has encrypted objects, and no --encryption-provider-config is among the apiserver's arguments",
            )
            .with_hint(hint));
        };
        let why = match cx.host.read(path).await? {
            Some(bytes) if Sha256::of(&bytes) == self.wanted => return Ok(State::Satisfied),
            Some(_) => "is another than the one",
            None => "is not there, as the one",
        };
        Err(StepError::new(format!(
            "{path} {why} that the snapshot was taken with: what is encrypted in it could not be read"
        ))
        .with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::Progress;
    use host::fake::FakeHost;

    use super::*;

    #[tokio::test]
    async fn other_keys_of_encryption_are_told() {
        let of = async |host: FakeHost, path: Option<&str>| {
            let question = InsistOnEncryption {
                path: path.map(Into::into),
                wanted: Sha256::of(b"keys"),
            };
            let cx = Cx::new(Arc::new(host), Progress::unseen());
            match Question::check(&question, &cx).await {
                Ok(_) => "goes".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        let path = "/etc/kubernetes/encryption.yaml";
        let with = |text: &'static str| FakeHost::new("m1").with_file(path, text, 0o600);
        assert_eq!(of(with("keys"), Some(path)).await, "goes");
        insta::assert_snapshot!(of(with("others"), Some(path)).await, @"/etc/kubernetes/encryption.yaml is another than the one that the snapshot was taken with: what is encrypted in it could not be read");
        insta::assert_snapshot!(of(FakeHost::new("m1"), Some(path)).await, @"/etc/kubernetes/encryption.yaml is not there, as the one that the snapshot was taken with: what is encrypted in it could not be read");
        insta::assert_snapshot!(of(FakeHost::new("m1"), None).await, @"the snapshot has encrypted objects, and no --encryption-provider-config is among the apiserver's arguments");
    }
}
