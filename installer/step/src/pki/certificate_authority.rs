use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::RemoveLocal;
use crate::local_file::{self, blocking};
use crate::pki::{Authority, Found, KeyPairFiles, PkiError};

/// A certificate authority of the site, on the operator's machine.
///
/// Idempotent: one that exists is kept, whoever made it. One that is damaged is an error and never replaced.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    files: KeyPairFiles,
    common_name: String,
}

impl CertificateAuthority {
    #[must_use]
    pub fn new(files: KeyPairFiles, common_name: impl Into<String>) -> Self {
        Self {
            files,
            common_name: common_name.into(),
        }
    }

    /// And what is to be told of it, in short and as a warning.
    fn state(&self) -> Result<(State, Option<(String, String)>), PkiError> {
        let authority = match Authority::find(&self.files)? {
            Found::Nothing => return Ok((State::needed("there is none yet"), None)),
            Found::KeyOnly(_) => {
                return Ok((State::needed("it has a key and no certificate"), None));
            }
            Found::Whole(authority) => authority,
        };
        if !authority.can_sign() {
            let warning = format!(
                "the certificate authority {} has no key here: what it has signed serves, and nothing new can be signed",
                self.files.certificate()
            );
            return Ok((State::Satisfied, Some(("cannot sign".to_owned(), warning))));
        }
        let state = if local_file::is_open_to_others(&self.files.key())? {
            State::needed("others can read its key")
        } else {
            State::Satisfied
        };
        let ends = authority.ends_soon().map(|left| {
            let certificate = self.files.certificate();
            let warning = format!(
                "the certificate authority {certificate} ends in {left}, and with it every certificate that it has signed"
            );
            (format!("ends in {left}"), warning)
        });
        Ok((state, ends))
    }

    fn bring_about(&self) -> Result<(), PkiError> {
        match Authority::find(&self.files)? {
            Found::Nothing => Authority::create(&self.files, &self.common_name, None)?,
            Found::KeyOnly(key) => Authority::create(&self.files, &self.common_name, Some(key))?,
            Found::Whole(_) => {}
        }
        // One whose key is elsewhere has nothing to hide here.
        if !self.files.key().exists() {
            return Ok(());
        }
        Ok(local_file::close_to_others(&self.files.key())?)
    }
}

#[async_trait]
impl Step for CertificateAuthority {
    fn id(&self) -> String {
        format!("certificate authority {}", self.files.certificate())
    }

    fn describe(&self) -> String {
        format!("make the certificate authority {}", self.files.title())
    }

    fn inputs(&self) -> String {
        self.common_name.clone()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let this = self.clone();
        let (state, told) = blocking(move || this.state()).await?;
        if let Some((seen, warning)) = told {
            cx.progress.seen(seen, Some(warning));
        }
        Ok(state)
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let this = self.clone();
        blocking(move || this.bring_about()).await
    }

    /// Without its authority nothing beside it is worth anything: the directory goes.
    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        let directory = self.files.certificate().parent()?.to_owned();
        let title = format!("remove {directory}");
        (data == Data::Purge).then(|| RemoveLocal::step(title, [directory]))
    }
}
