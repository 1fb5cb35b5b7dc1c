//! A stand-in for all upstreams at once, on loopback: small files under the right names with the right checksums, and
//! small images behind the pull side of the registry protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use artifact::Sha256;
use catalogue::{Carries, Catalogue, Checksum, Member, Resolved};
use cluster::{Arch, Cluster, Version};
use serde_json::{Value, json};

use super::{archive, elf};
use crate::fetch::testing::{Reply, Request, Server};
use crate::hops::{hops, together};
use crate::mirror::Mirrors;
use crate::resolve::Wanted;

/// Path to content, with its media type.
type Pages = BTreeMap<String, (&'static str, Vec<u8>)>;

pub(crate) struct Upstream {
    pub(crate) server: Server,
    pages: Arc<Mutex<Pages>>,
    /// What is answered with a status in place of a page.
    refused: Arc<Mutex<BTreeMap<String, u16>>>,
}

impl Upstream {
    /// Serves everything that a config asks for.
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        Self::of_hops(cluster, None).await
    }

    /// The same for an upgrade from this version.
    pub(crate) async fn of_hops(cluster: &Cluster, from: Option<&Version>) -> Self {
        let hops = hops(cluster, from, &BTreeSet::new(), &Catalogue::builtin()).unwrap();
        let wanted = together(&hops);
        let mut pages = Pages::new();
        files(&wanted, &mut pages);
        for image in &wanted.images {
            serve_image(&mut pages, &image.reference, &Arch::ALL);
        }
        let pages = Arc::new(Mutex::new(pages));
        let refused = Arc::<Mutex<BTreeMap<String, u16>>>::default();
        let (shown, hidden) = (Arc::clone(&pages), Arc::clone(&refused));
        let server = Server::start(move |request| {
            let hidden = hidden.lock().unwrap();
            match hidden.get(&request.path) {
                Some(status) => Reply::status(*status),
                None => answer(&shown.lock().unwrap(), request),
            }
        });
        Self {
            server: server.await,
            pages,
            refused,
        }
    }

    /// All hosts are asked here.
    pub(crate) fn mirrors(&self) -> Mirrors {
        Mirrors::parse([format!("*={}", self.server.url).as_str()]).unwrap()
    }

    /// The address of the first file whose path ends so.
    fn find(&self, end: &str) -> String {
        self.pages
            .lock()
            .unwrap()
            .keys()
            .find(|path| path.ends_with(end))
            .unwrap()
            .clone()
    }

    /// The path that has the one inside and ends with the other, where its name has a digest.
    pub(crate) fn path_with(&self, inside: &str, end: &str) -> String {
        let pages = self.pages.lock().unwrap();
        let mut paths = pages.keys();
        let path = paths.find(|path| path.contains(inside) && path.ends_with(end));
        path.unwrap().clone()
    }

    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let page = (BYTES, content.to_vec());
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(crate) fn content(&self, end: &str) -> Vec<u8> {
        let path = self.find(end);
        self.pages.lock().unwrap()[&path].1.clone()
    }

    pub(crate) fn remove(&self, end: &str) {
        let path = self.find(end);
        self.pages.lock().unwrap().remove(&path);
    }

    /// The page stays, and whoever asks for it gets this status.
    pub(crate) fn refuse(&self, end: &str, status: u16) {
        let path = self.find(end);
        self.refused.lock().unwrap().insert(path, status);
    }

    /// Other content, with or without a checksum to match.
    pub(crate) fn replace(&self, end: &str, content: &[u8]) {
        let path = self.find(end);
        self.pages
            .lock()
            .unwrap()
            .insert(path, (BYTES, content.to_vec()));
    }

    /// Other content, published as such.
    pub(crate) fn publish(&self, end: &str, content: &[u8]) {
        self.replace(end, content);
        let path = self.find(end);
        let digest = Sha256::of(content).to_string();
        for suffix in [".sha256", ".sha256sum"] {
            let beside = format!("{path}{suffix}");
            if let Some(page) = self.pages.lock().unwrap().get_mut(&beside) {
                page.1 = digest.clone().into_bytes();
            }
        }
    }

    pub(crate) fn publish_image(&self, reference: &str, arches: &[Arch]) {
        serve_image(&mut self.pages.lock().unwrap(), reference, arches);
    }

    /// A chart in a registry, as helm pushes it.
    pub(crate) fn publish_chart(&self, repository: &str, version: &str, chart: &[u8]) {
        let mut pages = self.pages.lock().unwrap();
        let mut put = |kind: &str, name: &str, media_type: &'static str, content: &[u8]| {
            let path = format!("/v2/{repository}/{kind}/{name}");
            pages.insert(path, (media_type, content.to_vec()));
        };
        let config = b"{}";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.cncf.helm.config.v1+json", config),
            "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", chart)],
        });
        let manifest = manifest.to_string().into_bytes();
        put("blobs", &Sha256::of(chart).oci(), BYTES, chart);
        put("blobs", &Sha256::of(config).oci(), BYTES, config);
        put(
            "manifests",
            &Sha256::of(&manifest).oci(),
            MANIFEST,
            &manifest,
        );
        put("manifests", version, MANIFEST, &manifest);
    }

    /// Every image, by reference.
    pub(crate) fn images(&self) -> Vec<String> {
        let pages = self.pages.lock().unwrap();
        let tags = pages.keys().filter_map(|path| {
            let (repository, tag) = path.strip_prefix("/v2/")?.split_once("/manifests/")?;
            (!tag.starts_with("sha256:")).then(|| format!("{repository}:{tag}"))
        });
        tags.collect()
    }

    /// How often something was sent whole or in part; a HEAD does not count.
    pub(crate) fn downloads(&self) -> usize {
        self.server
            .requests()
            .iter()
            .filter(|r| r.method == "GET" && r.path != "/v2/")
            .count()
    }
}

const BYTES: &str = "application/octet-stream";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn answer(pages: &Pages, request: &Request) -> Reply {
    if request.path == "/v2/" {
        return Reply::ok("{}");
    }
    let Some((media_type, content)) = pages.get(&request.path) else {
        return Reply::status(404);
    };
    let digest = Sha256::of(content);
    Reply::file(request, content, &format!("\"{digest}\""))
        .with("Content-Type", *media_type)
        .with("Docker-Content-Digest", digest.oci())
}

fn files(wanted: &Wanted, pages: &mut Pages) {
    let mut lists = BTreeMap::<String, String>::new();
    for file in wanted.files.iter().map(|wanted| &wanted.file) {
        let program = |name: &str| {
            let arch = file.arch.unwrap();
            let mut bytes = elf(arch);
            bytes.extend(format!("{name} {} {arch}", file.version).bytes());
            bytes
        };
        let content = match &file.carries {
            Carries::Manifest(_) => manifest(&wanted_by(wanted, file)),
            Carries::Nothing => b"an archive of images".to_vec(),
            Carries::Program(name) => program(name),
            Carries::Members(members) => {
                let contents: Vec<(&str, Vec<u8>)> = members
                    .iter()
                    .filter_map(|member| match member {
                        Member::At(path) => Some((path.as_str(), program(path))),
                        Member::AllIn(_) => None,
                    })
                    .collect();
                let files: Vec<_> = contents
                    .iter()
                    .map(|(path, bytes)| (*path, 0o755, bytes.as_slice()))
                    .collect();
                archive(&files)
            }
        };
        let digest = Sha256::of(&content);
        match &file.checksum {
            Checksum::Beside { url } => {
                pages.insert(at(url), (BYTES, digest.to_string().into_bytes()));
            }
            Checksum::ListedIn { url } => {
                writeln!(
                    lists.entry(at(url)).or_default(),
                    "{digest}  {}",
                    file.file_name()
                )
                .unwrap();
            }
            Checksum::Unpublished => {}
        }
        pages.insert(at(&file.url), (BYTES, content));
    }
    pages.extend(
        lists
            .into_iter()
            .map(|(path, text)| (path, (BYTES, text.into_bytes()))),
    );
}

/// The images of whoever asks for a file.
fn wanted_by<'w>(wanted: &'w Wanted, file: &Resolved) -> Vec<&'w str> {
    let mut files = wanted.files.iter();
    let asking = &files.find(|wanted| wanted.file == *file).unwrap().wanted_by;
    let images = wanted.images.iter();
    images
        .filter(|image| image.wanted_by.iter().any(|by| asking.contains(by)))
        .map(|image| image.reference.as_str())
        .collect()
}

/// A manifest with a container of each image.
pub(crate) fn manifest(images: &[&str]) -> Vec<u8> {
    let containers: Vec<Value> = images
        .iter()
        .map(|image| json!({ "image": image }))
        .collect();
    let object = json!({ "kind": "DaemonSet", "spec": { "containers": containers } });
    format!("# a stand-in\n---\n{object}\n").into_bytes()
}

fn at(url: &str) -> String {
    url.replacen("https:/", "", 1)
}

fn serve_image(pages: &mut Pages, reference: &str, arches: &[Arch]) {
    let (repository, tag) = reference.rsplit_once(':').unwrap();
    let mut put = |kind: &str, name: &str, media_type: &'static str, content: &[u8]| {
        pages.insert(
            format!("/v2/{repository}/{kind}/{name}"),
            (media_type, content.to_vec()),
        );
    };
    let mut members = Vec::new();
    for arch in arches {
        let config = json!({ "architecture": arch.go(), "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = config.to_string().into_bytes();
        let layers = [
            b"a layer that all images share".to_vec(),
            format!("{reference} {arch}").into_bytes(),
        ];
        for blob in layers.iter().chain([&config]) {
            put("blobs", &Sha256::of(blob).oci(), BYTES, blob);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.iter().map(|layer| descriptor(LAYER, layer)).collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string().into_bytes();
        put(
            "manifests",
            &Sha256::of(&manifest).oci(),
            MANIFEST,
            &manifest,
        );
        let mut member = descriptor(MANIFEST, &manifest);
        member["platform"] = json!({ "architecture": arch.go(), "os": "linux" });
        members.push(member);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": members });
    let index = index.to_string().into_bytes();
    put("manifests", &Sha256::of(&index).oci(), INDEX, &index);
    put("manifests", tag, INDEX, &index);
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Sha256::of(content).oci(), "size": content.len() })
}
