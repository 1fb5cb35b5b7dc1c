//! A client for the site's registry: the few requests of the distribution API that a push needs.
//!
//! Not `oci-client`: the site's registry must never be asked for through a proxy, which that crate takes from the
//! environment with no way to forbid it, and it mounts no blob without losing what the registry answers.

mod error;
mod push;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifact::Sha256;
use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use futures::TryStreamExt;
use host::Way;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret;
use tokio_util::io::ReaderStream;

use crate::image_layout::Manifest;
use crate::{RegistryCredentials, SiteNames};
pub(crate) use error::RegistryError;
pub(crate) use push::Push;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// An upload that moves nothing for so long is dead. A registry may take its time over the last byte of a layer.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
const CHUNK: usize = 512 << 10;
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The site's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRegistry {
    /// Where it listens, e.g. `https://172.16.0.5:5000`.
    pub url: String,
    /// The only authority that is trusted.
    pub ca: Utf8PathBuf,
    pub names: SiteNames,
}

impl SiteRegistry {
    pub(crate) fn port(&self) -> Option<u16> {
        Url::parse(&self.url).ok()?.port_or_known_default()
    }
}

/// A connection to the site's registry.
pub(crate) struct Registry {
    client: Client,
    base: Url,
    /// For messages: `registry.kubexm.local:5000`.
    name: String,
    credentials: RegistryCredentials,
}

/// What came of asking the registry to take a blob.
enum Begun {
    /// It had the blob in the other repository.
    Mounted,
    /// The blob goes there.
    Upload(Url),
}

impl Registry {
    pub fn connect(
        site: &SiteRegistry,
        ca: &[u8],
        credentials: RegistryCredentials,
        way: &Way,
    ) -> Result<Self, RegistryError> {
        let unusable = |why: String| RegistryError::Unusable {
            url: site.url.clone(),
            why,
        };
        let parse = |url: &str| Url::parse(url).map_err(|error| unusable(error.to_string()));
        let mut base = parse(&site.url)?;
        let mut name = authority(&base);
        let certificate = Certificate::from_pem(ca)
            .map_err(|error| unusable(format!("{}: {}", site.ca, error::innermost(&error))))?;
        let mut client = Client::builder();
        if let Way::Through(forward) = way {
            // Its certificate has no loopback address; by its name it proves itself, wherever that leads.
            base = parse(&format!("https://{}", site.names.authority))?;
            name = authority(&base);
            let here = forward.here();
            base.set_port(Some(here.port()))
                .expect("an address with https has a port");
            client = client.resolve(base.host_str().unwrap_or_default(), here);
        }
        let client = client
            .tls_certs_only([certificate])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // HTTP/2 would squeeze all uploads through the flow control of one connection.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| unusable(format!("{}: {}", site.ca, error::innermost(&error))))?;
        Ok(Self {
            client,
            base,
            name,
            credentials,
        })
    }

    /// The digest of the manifest under a tag; none if there is no such manifest.
    pub async fn digest_of(
        &self,
        repository: &str,
        tag: &str,
    ) -> Result<Option<String>, RegistryError> {
        let url = self.url(&format!("{repository}/manifests/{tag}"));
        let answer = self.ask(Method::HEAD, url, |request| {
            request.header(ACCEPT, MANIFEST_TYPES)
        });
        let answer = answer.await?;
        match answer.status() {
            StatusCode::OK => Ok(answer
                .headers()
                .get("docker-content-digest")
                .and_then(|digest| digest.to_str().ok())
                .map(ToOwned::to_owned)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused(format!("{repository}:{tag}"), answer).await),
        }
    }

    async fn has_blob(&self, repository: &str, digest: Sha256) -> Result<bool, RegistryError> {
        let url = self.url(&format!("{repository}/blobs/{}", digest.oci()));
        let answer = self.ask(Method::HEAD, url, |request| request).await?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.refused(blob_of(repository, digest), answer).await),
        }
    }

    /// Asks where a blob shall go; `from` names a repository that holds it already.
    async fn begin(
        &self,
        repository: &str,
        digest: Sha256,
        from: Option<&str>,
    ) -> Result<Begun, RegistryError> {
        let mut url = self.url(&format!("{repository}/blobs/uploads/"));
        if let Some(from) = from {
            url.query_pairs_mut()
                .append_pair("mount", &digest.oci())
                .append_pair("from", from);
        }
        let empty = |request: RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let answer = self.ask(Method::POST, url, empty).await?;
        match answer.status() {
            StatusCode::CREATED if from.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => self.location(&answer).map(Begun::Upload),
            _ => Err(self.refused(blob_of(repository, digest), answer).await),
        }
    }

    /// Sends a blob from a file, in one piece. `moved` hears of the bytes as they go.
    async fn upload<F>(
        &self,
        mut to: Url,
        repository: &str,
        digest: Sha256,
        path: &Utf8Path,
        moved: F,
    ) -> Result<(), RegistryError>
    where
        F: Fn(u64) + Send + Sync + 'static,
    {
        let unreadable = |why| RegistryError::Read {
            path: path.to_owned(),
            why,
        };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let size = file.metadata().await.map_err(unreadable)?.len();
        to.query_pairs_mut().append_pair("digest", &digest.oci());
        let sent = std::sync::Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        let stream = ReaderStream::with_capacity(file, CHUNK).inspect_ok(move |chunk: &Bytes| {
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            moved(chunk.len() as u64);
        });
        let request = self
            .request(Method::PUT, to)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .body(Body::wrap_stream(stream));
        let answer = tokio::select! {
            answer = request.send() => answer.map_err(|error| self.unanswered(&error))?,
            () = stalled(&sent) => return Err(self.silent(STALL_TIMEOUT)),
        };
        match answer.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.refused(blob_of(repository, digest), answer).await),
        }
    }

    async fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("{repository}/manifests/{tag}"));
        let answer = self.ask(Method::PUT, url, |request| {
            request
                .header(CONTENT_TYPE, &manifest.media_type)
                .body(manifest.bytes.clone())
        });
        let answer = answer.await?;
        match answer.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.refused(format!("{repository}:{tag}"), answer).await),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{path}"));
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let RegistryCredentials { username, password } = &self.credentials;
        self.client
            .request(method, url)
            .basic_auth(username, Some(password.expose_secret()))
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        with(self.request(method, url))
            .timeout(ANSWER_TIMEOUT)
            .send()
            .await
            .map_err(|error| self.unanswered(&error))
    }

    /// Credentials go to the registry and nowhere else, wherever it points.
    fn location(&self, answer: &Response) -> Result<Url, RegistryError> {
        let location = answer
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| answer.url().join(location).ok());
        url.filter(|url| url.origin() == self.base.origin())
            .ok_or_else(|| RegistryError::Elsewhere {
                registry: self.name.clone(),
                location: location.unwrap_or("nowhere").to_owned(),
            })
    }

    fn unanswered(&self, error: &reqwest::Error) -> RegistryError {
        RegistryError::unanswered(self.name.clone(), error)
    }

    fn silent(&self, after: Duration) -> RegistryError {
        RegistryError::Silent {
            registry: self.name.clone(),
            seconds: after.as_secs(),
        }
    }

    async fn refused(&self, what: String, answer: Response) -> RegistryError {
        RegistryError::refused(self.name.clone(), what, answer).await
    }
}

/// Host and port, as people know them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn blob_of(repository: &str, digest: Sha256) -> String {
    format!("{} of {repository}", digest.oci())
}

/// Ends when nothing has been sent for too long.
async fn stalled(sent: &AtomicU64) {
    let mut before = None;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(STALL_TIMEOUT).await;
    }
}
