use std::sync::Arc;

use async_trait::async_trait;
use engine::{Cx, Data, State, Step, StepError};

use crate::RemoveLocal;
use crate::local_file::{self, blocking};
use crate::pki::{Authority, CertificateSpec, Found, KeyPairFiles, PkiError};

/// A certificate with its key, signed by an authority of the site, on the operator's machine.
///
/// Idempotent: one that says what it should, and for long enough, is kept; any other is made anew with a new key.
#[derive(Clone, Debug)]
pub struct Certificate {
    authority: KeyPairFiles,
    files: KeyPairFiles,
    spec: CertificateSpec,
}

impl Certificate {
    #[must_use]
    pub fn new(authority: KeyPairFiles, files: KeyPairFiles, spec: CertificateSpec) -> Self {
        Self {
            authority,
            files,
            spec,
        }
    }

    fn state(&self) -> Result<State, PkiError> {
        let Found::Whole(authority) = Authority::find(&self.authority)? else {
            return Ok(State::needed("its authority is not there yet"));
        };
        Ok(match authority.fault(&self.files, &self.spec)? {
            Some(reason) => State::needed(reason),
            None if local_file::is_open_to_others(&self.files.key())? => {
                State::needed("others can read its key")
            }
            None => State::Satisfied,
        })
    }

    fn bring_about(&self) -> Result<(), PkiError> {
        let Found::Whole(authority) = Authority::find(&self.authority)? else {
            return Err(PkiError::Missing {
                certificate: self.authority.certificate(),
            });
        };
        authority.issue(&self.files, &self.spec)
    }
}

#[async_trait]
impl Step for Certificate {
    fn id(&self) -> String {
        format!("certificate {}", self.files.certificate())
    }

    fn describe(&self) -> String {
        format!("make the certificate {}", self.files.title())
    }

    fn inputs(&self) -> String {
        format!("{:?} {:?}", self.authority, self.spec)
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
        let title = || format!("remove the certificate {}", self.files.title());
        let files = || [self.files.certificate(), self.files.key()];
        (data == Data::Purge).then(|| RemoveLocal::step(title(), files()))
    }
}
