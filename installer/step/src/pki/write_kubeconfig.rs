use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Cx, Data, State, Step, StepError};
use secrecy::zeroize::Zeroizing;
use templates::{Kubeconfig, Template};

use crate::local_file::{self, FileError, blocking};
use crate::pki::split_kubeconfig::SplitKubeconfig;
use crate::{KeyPairFiles, RemoveLocal};

/// A kubeconfig with everything in it, on the operator's machine. It is written anew with its certificate.
#[derive(Clone, Debug)]
pub struct WriteKubeconfig {
    pub path: Utf8PathBuf,
    pub cluster: String,
    pub user: String,
    pub server: String,
    /// The certificate of the apiservers' authority.
    pub authority: Utf8PathBuf,
    pub client: KeyPairFiles,
}

impl WriteKubeconfig {
    /// None while a certificate is still to be made.
    fn text(&self) -> Result<Option<Zeroizing<String>>, StepError> {
        let authority = encoded(&self.authority)?;
        let certificate = encoded(&self.client.certificate())?;
        let key = encoded(&self.client.key())?;
        let (Some(authority), Some(certificate), Some(key)) = (authority, certificate, key) else {
            return Ok(None);
        };
        let kubeconfig = Kubeconfig {
            cluster: &self.cluster,
            user: &self.user,
            server: &self.server,
            authority: &authority,
            certificate: &certificate,
            key: &key,
        };
        match kubeconfig.render() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) => Err(StepError::new(error.to_string())),
        }
    }

    fn state(&self) -> Result<State, StepError> {
        let Some(text) = self.text()? else {
            return Ok(State::needed("its certificate is not there yet"));
        };
        let Some(found) = local_file::read(&self.path)?.map(Zeroizing::new) else {
            return Ok(State::needed("there is none yet"));
        };
        Ok(if found.as_slice() != text.as_bytes() {
            State::needed("differs")
        } else if local_file::is_open_to_others(&self.path)? {
            State::needed("others can read it")
        } else {
            State::Satisfied
        })
    }

    fn bring_about(&self) -> Result<(), StepError> {
        let Some(text) = self.text()? else {
            let certificate = self.client.certificate();
            let error = format!("{certificate}, its key or its authority is not there");
            return Err(StepError::new(error));
        };
        Ok(local_file::write(&self.path, 0o600, text.as_bytes())?)
    }
}

fn encoded(path: &Utf8Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let bytes = local_file::read(path)?.map(Zeroizing::new);
    Ok(bytes.map(|bytes| Zeroizing::new(BASE64_STANDARD.encode(&*bytes))))
}

#[async_trait]
impl Step for WriteKubeconfig {
    fn id(&self) -> String {
        format!("kubeconfig {}", self.path)
    }

    fn describe(&self) -> String {
        format!("write the kubeconfig of {}", self.user)
    }

    fn inputs(&self) -> String {
        format!("{self:?}")
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
        let title = || format!("remove the kubeconfig of {}", self.user);
        (data == Data::Purge).then(|| RemoveLocal::step(title(), [self.path.clone()]))
    }

    /// The certificate lies in it.
    fn origin(&self, below: &Utf8Path) -> Option<Arc<dyn Step>> {
        let split = SplitKubeconfig {
            path: self.path.clone(),
            client: self.client.clone(),
        };
        self.path
            .starts_with(below)
            .then(|| Arc::new(split) as Arc<dyn Step>)
    }
}
