//! A site with nothing but a registry: the real one, with TLS and passwords as the steps make them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use artifact::{ImageEntry, Sha256};
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Retry, Slot};
use secrecy::ExposeSecret;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Keeper, KeyPairFiles,
    PrepareRegistryCredentials, ProveRegistry, PushImages, RegistryCredentials, SiteRegistry,
    Trust, Usage,
};
use tempfile::TempDir;

use super::converge;

pub struct Site {
    temp: TempDir,
    pub port: u16,
    pub credentials: Slot<RegistryCredentials>,
    auth: String,
    registry: Option<Child>,
}

impl Site {
    /// A site whose registry answers.
    pub async fn new() -> Self {
        Self::with_auth("{ htpasswd: { realm: site, path: {dir}/certs/htpasswd } }").await
    }

    /// `{dir}` stands for the directory of the site.
    pub async fn with_auth(auth: &str) -> Self {
        let temp = TempDir::new().unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let credentials = Slot::new("registry credentials");
        let mut site = Self {
            temp,
            port,
            credentials,
            auth: auth.to_owned(),
            registry: None,
        };
        let certs = site.dir().join("certs");
        let ca = site.ca();
        converge(&CertificateAuthority::new(ca.clone(), "registry-ca"))
            .await
            .unwrap();
        let spec =
            CertificateSpec::new("registry", Usage::Server).ips([Ipv4Addr::LOCALHOST.into()]);
        let server = KeyPairFiles::at(certs.join("server"));
        converge(&Certificate::new(ca, server, spec)).await.unwrap();
        let prepare = PrepareRegistryCredentials::new(&certs, None, site.credentials.clone());
        converge(&prepare).await.unwrap();
        site.start();
        site
    }

    pub fn dir(&self) -> &Utf8Path {
        Utf8Path::from_path(self.temp.path()).unwrap()
    }

    pub fn ca(&self) -> KeyPairFiles {
        KeyPairFiles::at(self.dir().join("certs/ca"))
    }

    pub fn registry(&self) -> SiteRegistry {
        SiteRegistry {
            url: format!("https://127.0.0.1:{}", self.port),
            at: Vec::new(),
            trust: Trust::File(self.ca().certificate()),
            names: step::SiteNames {
                authority: "hub.corp:5000".into(),
                namespace: None,
            },
            keeper: Keeper::Kubexm {
                data_dir: self.dir().join("registry"),
            },
        }
    }

    /// Where the registry keeps a content.
    pub fn content(&self, digest: Sha256) -> Utf8PathBuf {
        let hex = digest.to_string();
        let blobs = self.dir().join("registry/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    pub fn push(&self, layout: &Utf8Path, images: Vec<ImageEntry>) -> PushImages {
        PushImages::new(
            self.registry(),
            self.credentials.clone(),
            layout,
            images,
            Slot::new("the images in the registry"),
        )
    }

    /// The proof that these images are in the registry.
    pub fn proof(&self, images: Vec<ImageEntry>) -> ProveRegistry {
        let certs = self.dir().join("certs");
        ProveRegistry {
            site: self.registry(),
            login: PrepareRegistryCredentials::new(certs, None, Slot::new("credentials")).into(),
            images,
            patience: Retry::NETWORK,
        }
    }

    /// As skopeo wants them.
    pub fn login(&self) -> String {
        let credentials = self.credentials.get().unwrap();
        format!(
            "{}:{}",
            credentials.username,
            credentials.password.expose_secret()
        )
    }

    pub fn start(&mut self) {
        let (dir, port) = (self.dir().to_owned(), self.port);
        let config = dir.join("registry.yml");
        fs::write(&config, settings(&dir, port, &self.auth)).unwrap();
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let registry = Command::new("docker-registry")
            .args(["serve", config.as_str()])
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .expect("docker-registry is installed");
        self.registry = Some(registry);
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "the registry does not come up");
            std::thread::yield_now();
        }
    }

    pub fn kill(&mut self) {
        if let Some(mut registry) = self.registry.take() {
            let _ = registry.kill();
            let _ = registry.wait();
        }
    }

    /// How many requests the registry has been asked that hold these words.
    pub fn asked(&self, words: &[&str]) -> usize {
        let log = fs::read_to_string(self.log()).unwrap();
        log.lines()
            .filter(|line| line.contains("HTTP/1.1\""))
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    }

    fn log(&self) -> Utf8PathBuf {
        self.dir().join("registry.log")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

fn settings(dir: &Utf8Path, port: u16, auth: &str) -> String {
    let auth = auth.replace("{dir}", dir.as_str());
    format!(
        "\
version: 0.1
log: {{ level: error }}
storage: {{ filesystem: {{ rootdirectory: {dir}/registry }}, delete: {{ enabled: true }} }}
auth: {auth}
http:
  addr: 127.0.0.1:{port}
  secret: test
  tls: {{ certificate: {dir}/certs/server.crt, key: {dir}/certs/server.key }}
"
    )
}
