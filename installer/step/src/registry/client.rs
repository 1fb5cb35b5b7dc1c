//! The few requests of the distribution API that a push needs, and whoever asks whether one would do.

mod catalog;
mod harbor;

pub(crate) use harbor::HarborHealth;
pub use harbor::RobotRights;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use artifact::Sha256;
use bytes::{Bytes, BytesMut};
use camino::Utf8Path;
use futures::TryStreamExt;
use host::Way;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio_util::io::ReaderStream;

use super::login::{Login, Scope};
use super::{Keeper, LoginManner, RegistryCredentials, RegistryError, SiteRegistry};
use crate::image::layout::{Blob, MANIFEST_LIMIT, Manifest};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// An upload that moves nothing for so long is dead. A registry may take its time over the last byte of a layer.
const STALL_TIMEOUT: Duration = Duration::from_mins(2);
const CHUNK: usize = 512 << 10;
const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A connection to the site's registry.
pub(crate) struct Registry {
    client: Client,
    base: Url,
    /// For messages: `registry.kubexm.local:5000`.
    name: String,
    login: Login,
    keeper: Keeper,
}

/// What the registry answers to a question for something that lies there and that it cannot read, such as a file that a
/// power cut has left empty.
const UNREADABLE: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// What is under a name.
pub(crate) enum Found {
    Nothing,
    Unreadable,
    Manifest(Bytes),
}

/// How a blob is there.
pub(crate) enum Held {
    Nothing,
    /// And why that is known.
    Damaged(String),
    Whole,
}

/// What came of asking the registry to take a blob.
pub(crate) enum Begun {
    /// It had the blob in the other repository.
    Mounted,
    /// The blob goes there.
    Upload(Url),
}

impl Registry {
    /// `roots` is what [`super::Trust`] has read.
    pub fn connect(
        site: &SiteRegistry,
        roots: Option<&[u8]>,
        credentials: Option<RegistryCredentials>,
        way: &Way,
    ) -> Result<Self, RegistryError> {
        let unusable = |why: String| RegistryError::Unusable {
            url: site.url.clone(),
            why,
        };
        let parse = |url: &str| Url::parse(url).map_err(|error| unusable(error.to_string()));
        let mut base = parse(&site.url)?;
        let mut name = authority(&base);
        let mut client = site.trust.configure(Client::builder(), roots, &unusable)?;
        if !site.at.is_empty() {
            let port = base.port_or_known_default().unwrap_or_default();
            let at: Vec<_> = site.at.iter().map(|ip| (*ip, port).into()).collect();
            client = client.resolve_to_addrs(base.host_str().unwrap_or_default(), &at);
        }
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
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // HTTP/2 would squeeze all uploads through the flow control of one connection.
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| unusable(super::error::innermost(&error)))?;
        Ok(Self {
            login: Login::new(client.clone(), name.clone(), &base, credentials),
            client,
            base,
            name,
            keeper: site.keeper.clone(),
        })
    }

    /// Whether it lets this account in, and how it takes it.
    pub async fn log_in(&self) -> Result<LoginManner, RegistryError> {
        let url = self.url("");
        let answer = self
            .ask(Method::GET, url, &Scope::none(), |request| request)
            .await?;
        match answer.status() {
            StatusCode::OK => Ok(self.login.manner()),
            _ => Err(self.refused("a login".to_owned(), answer).await),
        }
    }

    /// Whether this account may push there: an upload is begun and given up.
    pub async fn may_push(&self, repository: &str) -> Result<(), RegistryError> {
        let nothing = Sha256::of(b"");
        if let Begun::Upload(at) = self.begin(repository, nothing, None).await? {
            let scope = Scope::push(repository);
            // One that stays is forgotten by the registry itself.
            let _ = self
                .ask(Method::DELETE, at, &scope, |request| request)
                .await;
        }
        Ok(())
    }

    /// The manifest under a tag or digest, byte for byte.
    pub async fn manifest(&self, repository: &str, at: &str) -> Result<Found, RegistryError> {
        let url = self.url(&format!("{repository}/manifests/{at}"));
        let scope = Scope::push(repository);
        let answer = self.ask(Method::GET, url, &scope, |request| {
            request.header(ACCEPT, MANIFEST_TYPES)
        });
        let answer = answer.await?;
        match answer.status() {
            StatusCode::OK => self.body(answer).await.map(Found::Manifest),
            StatusCode::NOT_FOUND => Ok(Found::Nothing),
            UNREADABLE => Ok(Found::Unreadable),
            _ => Err(self.refused(format!("{repository}:{at}"), answer).await),
        }
    }

    /// What a manifest takes, and one byte more, so that too much is seen.
    async fn body(&self, mut answer: Response) -> Result<Bytes, RegistryError> {
        let mut body = BytesMut::new();
        let more = async |answer: &mut Response| {
            let chunk = answer.chunk().await;
            chunk.map_err(|error| self.unanswered(&error))
        };
        while let Some(chunk) = more(&mut answer).await? {
            let room = (MANIFEST_LIMIT + 1).saturating_sub(body.len() as u64);
            let taken = chunk.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            body.extend_from_slice(&chunk[..taken]);
            if taken < chunk.len() {
                break;
            }
        }
        Ok(body.freeze())
    }

    /// How a registry holds a blob, by the size that it would send.
    pub async fn held(&self, repository: &str, blob: Blob) -> Result<Held, RegistryError> {
        let url = self.url(&format!("{repository}/blobs/{}", blob.digest.oci()));
        let scope = Scope::push(repository);
        let answer = self
            .ask(Method::HEAD, url, &scope, |request| request)
            .await?;
        match answer.status() {
            StatusCode::OK => {
                let length = answer.headers().get(CONTENT_LENGTH);
                let size = length.and_then(|size| size.to_str().ok()?.parse::<u64>().ok());
                Ok(match size {
                    Some(size) if size != blob.size => Held::Damaged(format!(
                        "{} has {size} bytes instead of {}",
                        blob.digest.oci(),
                        blob.size
                    )),
                    _ => Held::Whole,
                })
            }
            // It has it, and leads to a store that is none of ours to ask.
            StatusCode::TEMPORARY_REDIRECT | StatusCode::FOUND => Ok(Held::Whole),
            StatusCode::NOT_FOUND => Ok(Held::Nothing),
            UNREADABLE => Ok(Held::Damaged(unreadable(blob.digest))),
            _ => Err(self.refused(blob_of(repository, blob.digest), answer).await),
        }
    }

    /// Asks where a blob shall go; `from` names a repository that holds it already.
    pub async fn begin(
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
        let scope = match from {
            Some(from) => Scope::mount(repository, from),
            None => Scope::push(repository),
        };
        let empty = |request: RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let answer = self.ask(Method::POST, url, &scope, empty).await?;
        match answer.status() {
            StatusCode::CREATED if from.is_some() => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => self.location(&answer).map(Begun::Upload),
            _ => Err(self.refused(blob_of(repository, digest), answer).await),
        }
    }

    /// Sends a blob from a file, in one piece. `moved` hears of the bytes as they go.
    pub async fn upload<F>(
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
        let scope = Scope::push(repository);
        let (request, signed) = self.login.sign(self.client.put(to), &scope).await?;
        let request = request
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, size)
            .body(Body::wrap_stream(stream));
        let answer = tokio::select! {
            answer = request.send() => answer.map_err(|error| self.unanswered(&error))?,
            () = stalled(&sent) => return Err(self.silent(STALL_TIMEOUT)),
        };
        match answer.status() {
            StatusCode::CREATED => Ok(()),
            // It ended between the beginning and the upload.
            StatusCode::UNAUTHORIZED if self.login.challenged(&answer, &scope, signed) => {
                Err(RegistryError::Expired {
                    registry: self.name.clone(),
                })
            }
            _ => Err(self.refused(blob_of(repository, digest), answer).await),
        }
    }

    pub async fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        manifest: &Manifest,
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("{repository}/manifests/{tag}"));
        let scope = Scope::push(repository);
        let answer = self.ask(Method::PUT, url, &scope, |request| {
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

    /// First it may turn out that tokens are wanted, and then that one has ended.
    async fn ask(
        &self,
        method: Method,
        url: Url,
        scope: &Scope,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut again = 2;
        loop {
            let request = self.client.request(method.clone(), url.clone());
            let (request, signed) = self.login.sign(request, scope).await?;
            let answer = with(request)
                .timeout(ANSWER_TIMEOUT)
                .send()
                .await
                .map_err(|error| self.unanswered(&error))?;
            let refused = answer.status() == StatusCode::UNAUTHORIZED;
            if again == 0 || !refused || !self.login.challenged(&answer, scope, signed) {
                return Ok(answer);
            }
            again -= 1;
        }
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
        let known = self.login.is_known();
        RegistryError::refused(self.name.clone(), what, answer, &self.keeper, known).await
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

pub(crate) fn unreadable(content: Sha256) -> String {
    format!("the registry cannot read {}", content.oci())
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
