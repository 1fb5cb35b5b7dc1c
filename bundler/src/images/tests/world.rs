//! Small images, and two registries that serve them: a real one, and one that misbehaves on request.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use artifact::Sha256;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fetch::testing::{Reply, Request, Server};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Repositories with their blobs, manifests and tags.
#[derive(Clone, Default)]
pub(super) struct World {
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By digest and by tag, in the order in which they can be pushed.
    manifests: Vec<(String, String, String, Vec<u8>)>,
}

/// A layer that differs from every other by its seed.
pub(super) fn layer(seed: u32, len: u32) -> Vec<u8> {
    let bytes: Vec<u8> = (0..len / 4)
        .flat_map(|n| (n ^ seed).wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "file", bytes.as_slice())
        .unwrap();
    tar.into_inner().unwrap()
}

impl World {
    pub(super) fn blob(&mut self, repository: &str, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Sha256::of(&bytes).oci();
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.blobs.insert((repository.to_owned(), digest), bytes);
        descriptor
    }

    /// An image for one platform, as an index would list it.
    pub(super) fn image(&mut self, repository: &str, platform: &str, layers: &[Vec<u8>]) -> Value {
        self.mixed_up(repository, platform, platform, layers)
    }

    /// An image whose config speaks of another platform than its index.
    pub(super) fn mixed_up(
        &mut self,
        repository: &str,
        platform: &str,
        config: &str,
        layers: &[Vec<u8>],
    ) -> Value {
        let (os, architecture) = config.split_once('/').unwrap();
        let diffs: Vec<String> = layers.iter().map(|layer| Sha256::of(layer).oci()).collect();
        let config = json!({
            "os": os, "architecture": architecture, "config": {},
            "rootfs": { "type": "layers", "diff_ids": diffs },
        });
        let config = self.blob(repository, CONFIG, config.to_string().into_bytes());
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob(repository, LAYER, layer.clone()))
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut descriptor = self.manifest(repository, MANIFEST, &manifest);
        let (os, architecture) = platform.split_once('/').unwrap();
        descriptor["platform"] = json!({ "os": os, "architecture": architecture });
        descriptor
    }

    pub(super) fn index(&mut self, repository: &str, manifests: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        self.manifest(repository, INDEX, &index)
    }

    pub(super) fn manifest(&mut self, repository: &str, media_type: &str, text: &Value) -> Value {
        let bytes = serde_json::to_vec_pretty(text).unwrap();
        let digest = Sha256::of(&bytes).oci();
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        self.manifests
            .push((repository.to_owned(), digest, media_type.to_owned(), bytes));
        descriptor
    }

    pub(super) fn tag(&mut self, repository: &str, tag: &str, descriptor: &Value) {
        let digest = descriptor["digest"].as_str().unwrap();
        let found = self
            .manifests
            .iter()
            .find(|(r, d, ..)| r == repository && d == digest);
        let (_, _, media_type, bytes) = found.unwrap().clone();
        self.manifests
            .push((repository.to_owned(), tag.to_owned(), media_type, bytes));
    }

    pub(super) fn answer(&self, request: &Request) -> Reply {
        let Some(path) = request.path.strip_prefix("/v2/") else {
            return Reply::status(404);
        };
        if path.is_empty() {
            return Reply::ok("{}");
        }
        if let Some((repository, name)) = path.split_once("/manifests/") {
            let latest = self
                .manifests
                .iter()
                .rev()
                .find(|(r, n, ..)| r == repository && n == name);
            let Some((_, _, media_type, bytes)) = latest else {
                return Reply::status(404);
            };
            return Reply::ok(bytes.clone())
                .with("Content-Type", media_type)
                .with("Docker-Content-Digest", Sha256::of(bytes).oci());
        }
        let Some((repository, digest)) = path.split_once("/blobs/") else {
            return Reply::status(404);
        };
        match self.blobs.get(&(repository.to_owned(), digest.to_owned())) {
            Some(bytes) => Reply::file(request, bytes, "\"blob\""),
            None => Reply::status(404),
        }
    }

    /// Serves it, each answer changed as wished.
    pub(super) async fn serve(
        self,
        change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::start(move |request| change(request, self.answer(request))).await
    }

    /// Puts everything below a name into a registry.
    pub(super) async fn push(&self, url: &str, below: &str) {
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .unwrap();
        for ((repository, digest), bytes) in &self.blobs {
            let start = client.post(format!("{url}/v2/{below}/{repository}/blobs/uploads/"));
            let location = start.send().await.unwrap().headers()["location"]
                .to_str()
                .unwrap()
                .to_owned();
            let end = client
                .put(format!("{location}&digest={digest}"))
                .body(bytes.clone());
            assert_eq!(end.send().await.unwrap().status(), 201);
        }
        for (repository, name, media_type, bytes) in &self.manifests {
            let put = client
                .put(format!("{url}/v2/{below}/{repository}/manifests/{name}"))
                .header("Content-Type", media_type)
                .body(bytes.clone());
            let status = put.send().await.unwrap().status();
            assert_eq!(status, 201, "{repository}:{name}");
        }
    }
}

/// The real thing: `docker-registry` on a free port of loopback.
pub(super) struct Registry {
    pub(super) url: String,
    process: Child,
    _storage: TempDir,
}

impl Registry {
    pub(super) fn start() -> Self {
        Self::with("", "http")
    }

    /// With a certificate that nobody trusts of himself; its PEM text comes along.
    pub(super) fn with_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = format!(
            ", tls: {{certificate: '{}', key: '{}'}}",
            certificate.display(),
            key.display()
        );
        (Self::with(&tls, "https"), made.cert.pem())
    }

    fn with(tls: &str, scheme: &str) -> Self {
        let storage = tempfile::tempdir().unwrap();
        let config = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\n",
            storage.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the Debian package docker-registry is installed");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log
            .find_map(|line| {
                let line = line.unwrap();
                let rest = line.split_once("listening on ")?.1;
                Some(rest.split(['"', ',']).next()?.to_owned())
            })
            .expect("it says where it listens");
        // Nobody waits for the rest of what it says, but it must be able to say it.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            url: format!("{scheme}://{address}"),
            process,
            _storage: storage,
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
