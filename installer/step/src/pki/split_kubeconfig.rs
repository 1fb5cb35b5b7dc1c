use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::Utf8PathBuf;
use engine::{Cx, Data, State, Step, StepError};
use secrecy::zeroize::Zeroizing;

use crate::KeyPairFiles;
use crate::local_file::{self, blocking};

/// Takes the client's certificate and key out of a kubeconfig of the operator's machine, where they are not there.
#[derive(Clone, Debug)]
pub(crate) struct SplitKubeconfig {
    pub path: Utf8PathBuf,
    pub client: KeyPairFiles,
}

impl SplitKubeconfig {
    fn state(&self) -> Result<State, StepError> {
        let there = local_file::read(&self.client.certificate())?.is_some();
        let from = local_file::read(&self.path)?.map(Zeroizing::new);
        Ok(if there || from.is_none() {
            State::Satisfied
        } else {
            State::needed(format!("{} is not here", self.client.certificate()))
        })
    }

    fn bring_about(&self) -> Result<(), StepError> {
        let bytes = local_file::read(&self.path)?.map(Zeroizing::new);
        let bytes = bytes.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let data = |key: &str| {
            let mut lines = text.lines().map(str::trim_start);
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            let value = value.trim().trim_matches(['"', '\'']);
            BASE64_STANDARD.decode(value).ok().map(Zeroizing::new)
        };
        let (Some(certificate), Some(key)) =
            (data("client-certificate-data"), data("client-key-data"))
        else {
            return Err(StepError::new(format!(
                "{} holds no certificate with its key",
                self.path
            )));
        };
        // A certificate that is there has its key.
        local_file::write_new(&self.client.key(), "split", &key)?;
        Ok(local_file::write_new(
            &self.client.certificate(),
            "split",
            &certificate,
        )?)
    }
}

#[async_trait]
impl Step for SplitKubeconfig {
    fn id(&self) -> String {
        format!("split {}", self.path)
    }

    fn describe(&self) -> String {
        format!(
            "take the certificate {} out of its kubeconfig",
            self.client.title()
        )
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let this = self.clone();
        blocking(move || this.state()).await
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.clone();
        blocking(move || this.bring_about()).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
