//! One repository of one registry, through whatever mirror.

use std::collections::{BTreeMap, HashMap};

use artifact::Sha256;
use bytes::Bytes;
use camino::Utf8PathBuf;
use futures::{Stream, StreamExt, TryStreamExt};
use oci_client::client::{
    BlobResponse, Certificate, CertificateEncoding, ClientConfig, ClientProtocol,
};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::document::{ACCEPTED, sha256};
use super::error::{Account, ImageError};
use crate::fetch::{Address, FetchError, HttpOptions, Login, Retry, Watch, causes, is_untrusted};
use crate::mirror::{Endpoint, Mirrors, Scheme};

/// How one registry is to be talked to, as the config has it.
#[derive(Clone, Debug, Default)]
pub struct RegistryAccess {
    pub login: Option<Login>,
    pub transport: Transport,
    /// A directory whose `*.crt` files are trusted for this registry.
    pub certs_dir: Option<Utf8PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    #[default]
    Https,
    /// HTTPS, whoever answers.
    Unverified,
    Http,
}

/// All registries, each with one client that keeps its connections and tokens.
pub(crate) struct Registries {
    mirrors: Mirrors,
    http: HttpOptions,
    access: BTreeMap<String, RegistryAccess>,
    clients: Mutex<HashMap<(String, Transport), Client>>,
}

impl Registries {
    pub(crate) fn new(
        mirrors: Mirrors,
        http: HttpOptions,
        access: BTreeMap<String, RegistryAccess>,
    ) -> Self {
        let access = access
            .into_iter()
            .map(|(host, a)| (canonical(&host), a))
            .collect();
        Self {
            mirrors,
            http,
            access,
            clients: Mutex::default(),
        }
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.http.retry
    }

    /// Where an image is really pulled from.
    pub(crate) async fn source(&self, image: &Reference) -> Result<Source, ImageError> {
        let endpoint = self.mirrors.registry(image.registry(), image.repository());
        // A mirror is its own registry: what opens upstream is not sent to it.
        let access = self
            .access
            .get(&canonical(&endpoint.registry))
            .cloned()
            .unwrap_or_default();
        let transport = match (endpoint.scheme, endpoint.mirrored) {
            (Scheme::Http, _) => Transport::Http,
            (Scheme::Https, true) if access.transport == Transport::Http => Transport::Https,
            (Scheme::Https, _) => access.transport,
        };
        let client = self.client(&endpoint, transport, &access).await?;
        let login = endpoint.login.or(access.login);
        let auth = login.map_or(RegistryAuth::Anonymous, |login| {
            RegistryAuth::Basic(login.user, login.password.expose_secret().to_owned())
        });
        Ok(Source {
            client,
            auth,
            registry: endpoint.registry,
            repository: endpoint.repository,
            tag: image.tag().map(str::to_owned),
        })
    }

    async fn client(
        &self,
        endpoint: &Endpoint,
        transport: Transport,
        access: &RegistryAccess,
    ) -> Result<Client, ImageError> {
        let mut clients = self.clients.lock().await;
        let key = (endpoint.registry.clone(), transport);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let certificates = self
            .http
            .certificates()?
            .into_iter()
            .chain(own_certificates(access)?);
        let mut config = ClientConfig {
            protocol: match transport {
                Transport::Http => ClientProtocol::Http,
                Transport::Https | Transport::Unverified => ClientProtocol::Https,
            },
            accept_invalid_certificates: transport == Transport::Unverified,
            extra_root_certificates: certificates
                .map(|data| Certificate {
                    encoding: CertificateEncoding::Pem,
                    data,
                })
                .collect(),
            platform_resolver: None,
            read_timeout: Some(self.http.stall_timeout),
            connect_timeout: Some(self.http.connect_timeout),
            user_agent: concat!("kubexm/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let here = format!("http://{}", endpoint.registry).parse::<Address>();
        if here.is_ok_and(|address| address.is_loopback()) {
            // The one way to tell this client not to take the environment's proxy: another, that is for no host.
            config.http_proxy = Some("http://localhost".to_owned());
            config.https_proxy = Some("http://localhost".to_owned());
            // The star is for names only.
            config.no_proxy = Some("*,0.0.0.0/0,::/0".to_owned());
        }
        let client =
            Client::try_from(config).map_err(|e| ImageError::Client { why: causes(&e) })?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

/// `https://index.docker.io/v1/` and `docker.io` are one registry.
fn canonical(host: &str) -> String {
    let host = host.split_once("//").map_or(host, |(_, rest)| rest);
    match host.split('/').next().unwrap_or(host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_ascii_lowercase(),
    }
}

fn own_certificates(access: &RegistryAccess) -> Result<Vec<Vec<u8>>, FetchError> {
    let Some(dir) = &access.certs_dir else {
        return Ok(Vec::new());
    };
    let failed = |e: std::io::Error| FetchError::io("read", dir, &e);
    let mut files = Vec::new();
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let path = entry.map_err(failed)?.into_path();
        if path.extension() == Some("crt") {
            files.push(path);
        }
    }
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).map_err(|e| FetchError::io("read", path, &e)))
        .collect()
}

/// One repository to pull from.
#[derive(Clone)]
pub(crate) struct Source {
    client: Client,
    auth: RegistryAuth,
    registry: String,
    repository: String,
    tag: Option<String>,
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

/// Repeats a request for as long as its failure may pass.
pub(crate) async fn patiently<T, F>(
    watch: &Watch<'_>,
    retry: &Retry,
    request: impl Fn() -> F,
) -> Result<T, ImageError>
where
    F: Future<Output = Result<T, ImageError>>,
{
    let (mut delays, mut attempt) = (retry.delays(), 1);
    loop {
        match watch.unless_cancelled(request()).await? {
            Err(error) if error.may_pass() => {
                let Some(delay) = delays.next() else {
                    return Err(error);
                };
                attempt += 1;
                watch
                    .pause(retry, attempt, delay, None, error.to_string())
                    .await?;
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_goes_by_many_names() {
        for name in [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "registry-1.docker.io",
        ] {
            assert_eq!(canonical(name), "docker.io");
        }
        assert_eq!(canonical("M.example:5000"), "m.example:5000");
    }

    #[test]
    fn a_page_of_an_error_is_cut_to_a_line() {
        assert_eq!(brief(" \n"), "no reason given");
        assert_eq!(brief("one\ntwo"), "one");
        assert_eq!(brief(&"x".repeat(999)).len(), 200);
    }
}
