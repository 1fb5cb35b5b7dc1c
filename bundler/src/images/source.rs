//! One repository of one registry: what it has, and what it says when it does not.

use artifact::Sha256;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use oci_client::client::BlobResponse;
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use super::document::{ACCEPTED, sha256};
use super::error::{Account, ImageError};
use crate::fetch::{causes, is_untrusted};

/// One repository to pull from.
#[derive(Clone)]
pub(crate) struct Source {
    pub(super) client: Client,
    pub(super) auth: RegistryAuth,
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.at())
    }
}

impl Source {
    /// As errors name it.
    pub(crate) fn at(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    fn tagged(&self) -> Reference {
        let tag = self.tag.clone().unwrap_or_else(|| "latest".to_owned());
        Reference::with_tag(self.registry.clone(), self.repository.clone(), tag)
    }

    fn digested(&self, digest: &Sha256) -> Reference {
        Reference::with_digest(self.registry.clone(), self.repository.clone(), digest.oci())
    }

    /// Gets a token, if one is needed. The client would do so by itself, but keeps quiet where that fails.
    async fn login(&self) -> Result<(), ImageError> {
        let login = self
            .client
            .auth(&self.tagged(), &self.auth, RegistryOperation::Pull)
            .await;
        login.map(|_| ()).map_err(|e| self.explain(e))
    }

    /// What the tag means now.
    pub(crate) async fn digest(&self) -> Result<Sha256, ImageError> {
        self.login().await?;
        let digest = self
            .client
            .fetch_manifest_digest(&self.tagged(), &self.auth)
            .await;
        sha256(&digest.map_err(|e| self.explain(e))?)
    }

    pub(crate) async fn manifest(&self, digest: &Sha256) -> Result<Vec<u8>, ImageError> {
        self.login().await?;
        let reference = self.digested(digest);
        let answer = self
            .client
            .pull_manifest_raw(&reference, &self.auth, ACCEPTED)
            .await;
        let (bytes, _) = answer.map_err(|e| self.explain(e))?;
        Ok(bytes.to_vec())
    }

    /// A blob from this byte on, or from its beginning where the registry will not have it otherwise.
    pub(crate) async fn blob(
        &self,
        digest: &Sha256,
        offset: u64,
    ) -> Result<(u64, impl Stream<Item = Result<Bytes, ImageError>> + use<'_>), ImageError> {
        self.client
            .store_auth_if_needed(&self.registry, &self.auth)
            .await;
        let name = digest.oci();
        let answer = self
            .client
            .pull_blob_stream_partial(&self.digested(digest), name.as_str(), offset, None)
            .await
            .map_err(|e| self.explain(e))?;
        let (start, body) = match answer {
            BlobResponse::Full(body) => (0, body),
            BlobResponse::Partial(body) => (offset, body),
        };
        let broken = |e: std::io::Error| ImageError::Cut {
            at: self.at(),
            why: causes(&e),
        };
        Ok((start, body.stream.map_err(broken).boxed()))
    }

    fn account(&self) -> Account {
        if self.auth == RegistryAuth::Anonymous {
            Account::Anonymous
        } else {
            Account::Named
        }
    }

    /// Puts the client's error into our words.
    fn explain(&self, error: OciDistributionError) -> ImageError {
        use OciDistributionError as E;
        let (at, login) = (self.at(), self.account());
        match error {
            E::UnauthorizedError { .. } => ImageError::Unauthorized { at, login },
            E::AuthenticationFailure(why) => ImageError::Login {
                at,
                login,
                why: brief(&why),
            },
            E::ImageManifestNotFoundError(_) => ImageError::NotFound { at },
            E::ServerError { code, message, .. } => self.status(code, &message),
            E::RegistryError { envelope, .. } => {
                let first = envelope.errors.into_iter().next();
                let (code, message) = first
                    .map_or((OciErrorCode::Unsupported, String::new()), |e| {
                        (e.code, e.message)
                    });
                match code {
                    OciErrorCode::Toomanyrequests => ImageError::Limited { at, login },
                    OciErrorCode::Unauthorized | OciErrorCode::Denied => {
                        ImageError::Unauthorized { at, login }
                    }
                    OciErrorCode::ManifestUnknown
                    | OciErrorCode::NameUnknown
                    | OciErrorCode::NotFound
                    | OciErrorCode::BlobUnknown
                    | OciErrorCode::ManifestBlobUnknown => ImageError::NotFound { at },
                    code => ImageError::Protocol {
                        at,
                        why: brief(&format!("{code:?} {message}")),
                    },
                }
            }
            E::RequestError(error) => {
                if let Some(status) = error.status() {
                    return self.status(status.as_u16(), "");
                }
                // The error's own text repeats the address.
                let why = std::error::Error::source(&error)
                    .map_or_else(|| "no more is known".to_owned(), causes);
                if is_untrusted(&why) {
                    ImageError::Untrusted { at, why }
                } else if error.is_connect() || error.is_request() {
                    ImageError::Unreachable { at, why }
                } else {
                    ImageError::Cut { at, why }
                }
            }
            E::IoError(error) => ImageError::Cut {
                at,
                why: causes(&error),
            },
            E::DigestError(error) => ImageError::Protocol {
                at,
                why: error.to_string(),
            },
            other => ImageError::Protocol {
                at,
                why: brief(&other.to_string()),
            },
        }
    }

    fn status(&self, status: u16, message: &str) -> ImageError {
        let (at, login) = (self.at(), self.account());
        match status {
            401 | 403 => ImageError::Unauthorized { at, login },
            404 => ImageError::NotFound { at },
            429 => ImageError::Limited { at, login },
            _ => ImageError::Registry {
                at,
                status,
                message: brief(message),
            },
        }
    }
}

/// The first line of what may be a whole page.
fn brief(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.is_empty() {
        "no reason given".to_owned()
    } else {
        line.chars().take(200).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_an_error_is_cut_to_a_line() {
        assert_eq!(brief(" \n"), "no reason given");
        assert_eq!(brief("one\ntwo"), "one");
        assert_eq!(brief(&"x".repeat(999)).len(), 200);
    }
}
