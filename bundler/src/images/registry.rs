//! How each registry is reached: through which mirror, as whom, trusting whose certificate.

use std::collections::{BTreeMap, HashMap};

use camino::Utf8PathBuf;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::ImageError;
use super::source::Source;
use crate::fetch::{Address, FetchError, HttpOptions, Login, Retry, causes};
use crate::mirror::{Mirrors, Scheme};

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

/// Clients keep tokens by host, so that two logins need two clients.
#[derive(PartialEq, Eq, Hash)]
struct ClientKey {
    registry: String,
    transport: Transport,
    /// The registry that is mirrored: each mirror has its own login.
    upstream: String,
}

/// All registries, each with one client that keeps its connections and tokens.
pub(crate) struct Registries {
    mirrors: Mirrors,
    http: HttpOptions,
    access: BTreeMap<String, RegistryAccess>,
    clients: Mutex<HashMap<ClientKey, Client>>,
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
        let key = ClientKey {
            registry: endpoint.registry.clone(),
            transport,
            upstream: image.registry().to_owned(),
        };
        let client = self.client(key, &access).await?;
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

    async fn client(&self, key: ClientKey, access: &RegistryAccess) -> Result<Client, ImageError> {
        let mut clients = self.clients.lock().await;
        let transport = key.transport;
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
        let here = format!("http://{}", key.registry).parse::<Address>();
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
}
