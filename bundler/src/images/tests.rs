use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use artifact::PlatformEntry;
use camino::Utf8PathBuf;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::testing::{Registry, World, layer};
use super::*;
use crate::fetch::testing::{Reply, Request, Seen, Server};
use crate::fetch::{Login, Retry};

const BOTH: &[Arch] = &[Arch::Amd64, Arch::Arm64];
const PAUSE: &str = "registry.k8s.io/pause:3.10";
const ETCD: &str = "registry.k8s.io/etcd:3.5.24-0";

/// pause and etcd for several platforms, with a layer in common.
fn world() -> World {
    let mut world = World::default();
    for (repository, tag, seed) in [("pause", "3.10", 10), ("etcd", "3.5.24-0", 20)] {
        let mut manifests = Vec::new();
        for (n, platform) in ["linux/amd64", "linux/arm64", "windows/amd64"]
            .into_iter()
            .enumerate()
        {
            let own = layer(seed + u32::try_from(n).unwrap(), 100_000);
            manifests.push(world.image(repository, platform, &[layer(1, 200_000), own]));
        }
        manifests.push(world.image(repository, "unknown/unknown", &[layer(seed + 9, 100)]));
        let index = world.index(repository, &manifests);
        world.tag(repository, tag, &index);
    }
    let single = world.image("single", "linux/amd64", &[layer(1, 200_000)]);
    world.tag("single", "v1", &single);
    world
}

/// Everything below the registry that the references name.
fn mirrors(url: &str) -> Mirrors {
    Mirrors::parse([format!("registry.k8s.io={url}").as_str()]).unwrap()
}

fn jobs(references: &[&str]) -> Vec<ImageJob> {
    let job = |reference: &&str| ImageJob {
        reference: (*reference).to_owned(),
        wanted_by: vec!["test".to_owned()],
    };
    references.iter().map(job).collect()
}

struct Case {
    dir: TempDir,
    options: ImageOptions,
    pins: BTreeMap<String, Sha256>,
    seen: Arc<Seen>,
    events: Events,
    cancel: CancellationToken,
}

impl Case {
    fn at(url: &str) -> Self {
        let (seen, events) = Seen::watch();
        let retry = Retry {
            attempts: 3,
            first_delay: Duration::from_millis(1),
            longest_delay: Duration::from_millis(4),
        };
        let http = HttpOptions {
            retry,
            ..HttpOptions::default()
        };
        let options = ImageOptions {
            jobs: 4,
            mirrors: mirrors(url),
            http,
            access: BTreeMap::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        Self {
            dir,
            options,
            pins: BTreeMap::new(),
            seen,
            events,
            cancel,
        }
    }

    fn layout(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().join("images")).unwrap()
    }

    async fn copy(
        &self,
        references: &[&str],
        arches: &[Arch],
    ) -> Result<Vec<CopiedImage>, ImageFailures> {
        let (layout, options) = (self.layout(), self.options.clone());
        let (pins, events, cancel) = (&self.pins, &self.events, &self.cancel);
        copy_images(
            jobs(references),
            arches,
            &layout,
            options,
            pins,
            events,
            cancel,
        )
        .await
    }

    async fn refused(&self, references: &[&str], arches: &[Arch]) -> String {
        let failures = self.copy(references, arches).await.unwrap_err();
        let told = failures.0.iter().map(|failure| match failure.error.hint() {
            Some(hint) => format!("{failure}\n  hint: {hint}"),
            None => failure.to_string(),
        });
        told.collect::<Vec<_>>().join("\n")
    }

    fn blob(&self, digest: &Sha256) -> Utf8PathBuf {
        self.layout().join("blobs/sha256").join(digest.to_string())
    }

    fn json(&self, digest: &Sha256) -> Value {
        serde_json::from_slice(&std::fs::read(self.blob(digest)).unwrap()).unwrap()
    }

    fn blobs(&self) -> Vec<String> {
        let dir = self.layout().join("blobs/sha256").read_dir_utf8().unwrap();
        let mut names: Vec<String> = dir
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        names.sort();
        names
    }

    /// Each blob is what its name says.
    fn assert_sound(&self) {
        for name in self.blobs() {
            let digest: Sha256 = name.parse().expect("nothing but blobs is left");
            assert_eq!(
                Sha256::of(&std::fs::read(self.blob(&digest)).unwrap()),
                digest
            );
        }
    }
}

fn blobs_asked(server: &Server) -> Vec<String> {
    server
        .log()
        .into_iter()
        .filter(|line| line.contains("/blobs/"))
        .collect()
}

fn as_is(_: &Request, reply: Reply) -> Reply {
    reply
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .expect("skopeo is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[tokio::test]
async fn skopeo_reads_what_came_from_a_real_registry() {
    let registry = Registry::start();
    world().push(&registry.url, "proxy").await;
    let case = Case::at(&format!("{}/proxy", registry.url));
    let single = "registry.k8s.io/single:v1";
    let copied = case.copy(&[PAUSE, ETCD], BOTH).await.unwrap();
    assert_eq!(
        copied
            .iter()
            .map(|c| c.entry.reference.as_str())
            .collect::<Vec<_>>(),
        [ETCD, PAUSE]
    );
    case.assert_sound();

    let layout = case.layout();
    for image in &copied {
        let name = format!("oci:{layout}:{}", image.entry.reference);
        let raw = skopeo(&["inspect", "--raw", &name]);
        assert_eq!(Sha256::of(&raw), image.entry.digest);
        let out = format!("dir:{}", case.dir.path().join("out").display());
        skopeo(&["--insecure-policy", "copy", "--all", &name, &out]);
    }
    let index = case.json(&copied[1].entry.digest);
    let platforms: Vec<&Value> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["platform"]["architecture"])
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert_ne!(copied[1].entry.digest, copied[1].upstream);

    let more = case.copy(&[single], &[Arch::Amd64]).await.unwrap();
    let name = format!("oci:{layout}:{single}");
    assert_eq!(
        Sha256::of(&skopeo(&["inspect", "--raw", &name])),
        more[0].upstream
    );
    assert_eq!(more[0].entry.digest, more[0].upstream);
}

#[tokio::test]
async fn the_entry_lists_digests_and_sizes_of_the_wanted_platforms() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let copied = case.copy(&[PAUSE], BOTH).await.unwrap().remove(0);
    let index = case.json(&copied.entry.digest);
    for (n, arch) in BOTH.iter().enumerate() {
        let PlatformEntry {
            arch: listed,
            digest,
            size,
        } = &copied.entry.platforms[n];
        assert_eq!(
            (listed, digest.oci()),
            (
                arch,
                index["manifests"][n]["digest"].as_str().unwrap().into()
            )
        );
        let manifest = case.json(digest);
        let sizes: u64 = std::iter::once(&manifest["config"])
            .chain(manifest["layers"].as_array().unwrap())
            .map(|descriptor| descriptor["size"].as_u64().unwrap())
            .sum();
        assert_eq!(*size, sizes);
    }
    assert_eq!(copied.entry.wanted_by, ["test"]);
}

#[tokio::test]
async fn a_blob_shared_by_images_travels_once_and_layouts_are_alike() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let copied = case.copy(&[PAUSE, ETCD], BOTH).await.unwrap();
    let mut digests: Vec<String> = blobs_asked(&server)
        .iter()
        .map(|line| line.rsplit('/').next().unwrap().to_owned())
        .collect();
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all);
    // Per image two configs and two layers of its own; one layer for all.
    assert_eq!(all, 2 * 4 + 1);

    let other = Case::at(&server.url);
    assert_eq!(other.copy(&[ETCD, PAUSE], BOTH).await.unwrap(), copied);
    let index = |case: &Case| std::fs::read(case.layout().join("index.json")).unwrap();
    assert_eq!(index(&other), index(&case));
    assert_eq!(other.blobs(), case.blobs());
}

#[tokio::test]
async fn a_complete_layout_asks_only_what_the_tags_mean() {
    let server = world().serve(as_is).await;
    let mut case = Case::at(&server.url);
    let references = [PAUSE, ETCD];
    let copied = case.copy(&references, BOTH).await.unwrap();
    let before = server.log().len();
    let again = case.copy(&references, BOTH).await.unwrap();
    assert!(again.iter().all(|image| image.change == Change::Satisfied));
    let mut asked = server.log().split_off(before);
    asked.retain(|line| line != "GET /v2/");
    asked.sort();
    assert_eq!(
        asked,
        [
            "HEAD /v2/etcd/manifests/3.5.24-0",
            "HEAD /v2/pause/manifests/3.10"
        ]
    );

    case.pins = copied
        .iter()
        .map(|c| (c.entry.reference.clone(), c.upstream))
        .collect();
    let before = server.log().len();
    let locked = case.copy(&references, BOTH).await.unwrap();
    assert_eq!(locked, again);
    assert_eq!(server.log().len(), before);
    // What is there for two architectures is there for one.
    let one = case.copy(&references, &[Arch::Arm64]).await.unwrap();
    assert_eq!(server.log().len(), before);
    let fresh = Case::at(&server.url)
        .copy(&references, &[Arch::Arm64])
        .await
        .unwrap();
    assert_eq!(one[0].entry, fresh[0].entry);
}

#[tokio::test]
async fn a_pinned_digest_outlives_a_moved_tag() {
    let before = world().serve(as_is).await;
    let mut case = Case::at(&before.url);
    let pinned = case.copy(&[PAUSE], BOTH).await.unwrap();
    let mut moved = world();
    let other = moved.image("pause", "linux/amd64", &[layer(99, 1000)]);
    moved.tag("pause", "3.10", &other);
    let server = moved.serve(as_is).await;
    case = Case {
        pins: BTreeMap::from([(PAUSE.to_owned(), pinned[0].upstream)]),
        ..Case::at(&server.url)
    };
    assert_eq!(
        case.copy(&[PAUSE], BOTH).await.unwrap()[0].entry,
        pinned[0].entry
    );
}

#[tokio::test]
async fn a_cut_blob_is_resumed_within_the_run() {
    let server = world()
        .serve(
            |request, reply| match (request.path.contains("/blobs/"), request.before) {
                (true, 0..2) => reply.cut_after(70_000),
                _ => reply,
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
    let asked = blobs_asked(&server);
    let froms: Vec<&str> = asked
        .iter()
        .filter_map(|line| line.split_once(" from ").map(|(_, n)| n))
        .collect();
    assert_eq!(froms, ["70000", "140000"]);
}

#[rstest]
#[case::good(false, &["100000"])]
#[case::spoilt(true, &["100000"])]
#[tokio::test]
async fn the_next_run_continues_a_blob_that_a_killed_one_left(
    #[case] spoilt: bool,
    #[case] froms: &[&str],
) {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let shared = layer(1, 200_000);
    let part = format!("{}.part", case.blob(&Sha256::of(&shared)));
    std::fs::create_dir_all(case.layout().join("blobs/sha256")).unwrap();
    let left = if spoilt {
        vec![7; 100_000]
    } else {
        shared[..100_000].to_vec()
    };
    std::fs::write(part, left).unwrap();
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
    let asked = blobs_asked(&server);
    let resumed: Vec<&str> = asked
        .iter()
        .filter_map(|line| line.split_once(" from ").map(|(_, n)| n))
        .collect();
    assert_eq!(resumed, froms);
}

/// Stops the run as soon as 70,000 bytes have been seen.
struct Stop(CancellationToken);

impl event::Sink for Stop {
    fn on(&self, _: jiff::Timestamp, event: &Event) {
        if matches!(event, Event::Progress { done: 70_000.., .. }) {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn a_stopped_run_keeps_what_has_come() {
    let server = world()
        .serve(
            |request, reply| match (request.path.contains("/blobs/"), request.before) {
                (true, 0) => reply.stall_after(70_000),
                _ => reply,
            },
        )
        .await;
    let mut case = Case::at(&server.url);
    case.events = Events::to(vec![Arc::new(Stop(case.cancel.clone()))]);
    let single = &["registry.k8s.io/single:v1"];
    assert!(
        case.copy(single, &[Arch::Amd64])
            .await
            .unwrap_err()
            .interrupted()
    );
    assert!(!case.layout().join("index.json").exists());
    case.cancel = CancellationToken::new();
    case.copy(single, &[Arch::Amd64]).await.unwrap();
    case.assert_sound();
    assert!(
        blobs_asked(&server)
            .iter()
            .any(|line| line.contains(" from 70000"))
    );
}

#[tokio::test]
async fn a_damaged_blob_of_the_layout_is_fetched_again() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    case.copy(&[PAUSE], BOTH).await.unwrap();
    let shared = case.blob(&Sha256::of(&layer(1, 200_000)));
    let mut bytes = std::fs::read(&shared).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&shared, bytes).unwrap();
    let before = blobs_asked(&server).len();
    let copied = case.copy(&[PAUSE], BOTH).await.unwrap();
    assert_eq!(copied[0].change, Change::Downloaded);
    case.assert_sound();
    assert_eq!(blobs_asked(&server).len(), before + 1);
}

#[tokio::test]
async fn a_registry_that_serves_other_content_is_refused() {
    let blob = Sha256::of(&layer(1, 200_000)).oci();
    let spoil = blob.clone();
    let server = world()
        .serve(move |request, reply| {
            if request.path.ends_with(&spoil) {
                Reply::ok(vec![7; 201_728])
            } else {
                reply
            }
        })
        .await;
    let case = Case::at(&server.url);
    let said = case
        .refused(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await;
    let said = said
        .replace(&server.url.replace("http://", ""), "HOST")
        .replace(&blob, "sha256:BLOB");
    insta::assert_snapshot!(said, @r"
    registry.k8s.io/single:v1: blob sha256:BLOB came with other content from HOST/single, twice
      hint: the registry or a mirror is damaged or dishonest; do not use it before you know why
    ");
    case.assert_sound();
    assert!(!case.layout().join("index.json").exists());
}

#[tokio::test]
async fn platforms_that_are_not_there_are_named() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let mut small = world();
    let only = small.image("only", "linux/amd64", &[]);
    let windows = small.image("only", "windows/amd64", &[]);
    let index = small.index("only", &[only, windows]);
    small.tag("only", "v1", &index);
    let other = small.serve(as_is).await;
    insta::assert_snapshot!(case.refused(&["registry.k8s.io/single:v1"], BOTH).await, @r"
    registry.k8s.io/single:v1: not built for linux/arm64; it exists for linux/amd64
      hint: use another tag or image, or bundle only the architectures that it has
    ");
    insta::assert_snapshot!(Case::at(&other.url).refused(&["registry.k8s.io/only:v1"], BOTH).await, @r"
    registry.k8s.io/only:v1: not built for linux/arm64; it exists for linux/amd64, windows/amd64
      hint: use another tag or image, or bundle only the architectures that it has
    ");
}

#[tokio::test]
async fn an_image_named_by_digest_stays_whole() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let upstream = case.copy(&[PAUSE], BOTH).await.unwrap()[0].upstream;
    let named = format!("registry.k8s.io/pause@{}", upstream.oci());
    let case = Case::at(&server.url);
    let copied = case
        .copy(&[named.as_str()], &[Arch::Amd64])
        .await
        .unwrap()
        .remove(0);
    assert_eq!((copied.entry.digest, copied.upstream), (upstream, upstream));
    assert_eq!(copied.entry.platforms.len(), 1);
    let index = case.json(&upstream);
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 4);
    for manifest in manifests {
        let digest: Sha256 = manifest["digest"].as_str().unwrap().parse().unwrap();
        for layer in case.json(&digest)["layers"].as_array().unwrap() {
            let digest: Sha256 = layer["digest"].as_str().unwrap().parse().unwrap();
            assert!(case.blob(&digest).exists());
        }
    }
    let warned = case.seen.all().into_iter().find_map(|event| match event {
        Event::Warning { message, .. } => Some(message),
        _ => None,
    });
    let warned = warned.unwrap().replace(&upstream.to_string(), "DIGEST");
    insta::assert_snapshot!(warned, @"registry.k8s.io/pause@sha256:DIGEST is named by its digest: 3 more of its manifests travel along");
    let before = server.log().len();
    case.copy(&[named.as_str()], &[Arch::Amd64]).await.unwrap();
    assert_eq!(server.log().len(), before);
}

#[tokio::test]
async fn every_failing_image_is_told() {
    let server = world()
        .serve(|request, reply| match request.path.split('/').nth(2) {
            Some("limited") => Reply::status(429),
            Some("private") => Reply::status(401),
            Some("broken") => Reply::status(502),
            _ => reply,
        })
        .await;
    let case = Case::at(&server.url);
    let references = [
        PAUSE,
        "Registry.k8s.io/UPPER",
        "registry.k8s.io/none:1",
        "registry.k8s.io/limited:1",
        "registry.k8s.io/private:1",
        "registry.k8s.io/broken:1",
        "registry.k8s.io/pause@sha512:00000000000000000000000000000000",
    ];
    let said = case.refused(&references, BOTH).await;
    insta::assert_snapshot!(said.replace(&server.url.replace("http://", ""), "HOST"), @r#"
    Registry.k8s.io/UPPER: not an image reference: names are written in lower case
      hint: write it like registry.k8s.io/pause:3.10 or docker.io/library/busybox@sha256:…
    registry.k8s.io/pause@sha512:00000000000000000000000000000000: not an image reference: invalid checksum digest length
      hint: write it like registry.k8s.io/pause:3.10 or docker.io/library/busybox@sha256:…
    registry.k8s.io/broken:1: HOST/broken answered 502: no reason given
      hint: the registry has trouble of its own; run again later
    registry.k8s.io/limited:1: HOST/limited answers too many requests (429)
      hint: logged-in users may pull more: give user and password under spec.registry.auths["HOST"]; the next run continues
    registry.k8s.io/none:1: not found at HOST/none
      hint: check name and tag; a mirror may not have it
    registry.k8s.io/private:1: HOST/private does not let this be pulled without a login
      hint: it may be private or not exist: check the name, or give user and password under spec.registry.auths["HOST"]
    "#);
    assert_eq!(case.seen.retries(), 2 + 2);
}

#[tokio::test]
async fn nobody_listening_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let case = Case::at(&format!("http://{address}"));
    insta::assert_snapshot!(case.refused(&[PAUSE], BOTH).await.replace(&address, "HOST"), @r"
    registry.k8s.io/pause:3.10: HOST/pause cannot be reached: client error (Connect): tcp connect error: Connection refused (os error 111)
      hint: check the name, the network and the proxy settings; --mirror HOST=URL pulls from elsewhere
    ");
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let server = world()
        .serve(
            |request, reply| match (request.path.as_str(), request.before) {
                ("/v2/", _) => reply,
                (_, 0) => Reply::status(503),
                _ => reply,
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
}

#[tokio::test]
async fn charts_and_old_schemas_are_no_images() {
    let mut world = World::default();
    let config = world.blob(
        "chart",
        "application/vnd.cncf.helm.config.v1+json",
        b"{}".to_vec(),
    );
    let chart = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let chart = world.manifest(
        "chart",
        "application/vnd.oci.image.manifest.v1+json",
        &chart,
    );
    world.tag("chart", "v1", &chart);
    let old = json!({ "schemaVersion": 1, "fsLayers": [] });
    let old = world.manifest(
        "old",
        "application/vnd.docker.distribution.manifest.v1+json",
        &old,
    );
    world.tag("old", "v1", &old);
    let server = world.serve(as_is).await;
    let case = Case::at(&server.url);
    let references = ["registry.k8s.io/chart:v1", "registry.k8s.io/old:v1"];
    insta::assert_snapshot!(case.refused(&references, BOTH).await, @r"
    registry.k8s.io/chart:v1: not a container image: its config is application/vnd.cncf.helm.config.v1+json
    registry.k8s.io/old:v1: a schema 1 image, which nothing reads any more
      hint: pull it and push it again with a current tool, or use a newer tag
    ");
}

#[tokio::test]
async fn a_login_opens_its_own_registry_and_is_sent_to_no_mirror() {
    let guarded = |request: &Request, reply: Reply| match request.header("authorization") {
        Some("Basic bWU6c2VjcmV0") => reply,
        _ => Reply::status(401).with("WWW-Authenticate", "Basic realm=\"x\""),
    };
    let server = world().serve(guarded).await;
    let host = server.url.replace("http://", "");
    let access = RegistryAccess {
        login: Some(Login::new("me", "secret")),
        transport: Transport::Http,
        certs_dir: None,
    };
    let mut case = Case::at(&server.url);
    case.options.mirrors = Mirrors::default();
    case.options.access = BTreeMap::from([(host.clone(), access.clone())]);
    let own = format!("{host}/single:v1");
    let copied = case.copy(&[own.as_str()], &[Arch::Amd64]).await.unwrap();
    assert_eq!(copied[0].entry.reference, own);

    let mut case = Case::at(&server.url);
    case.options.access = BTreeMap::from([("registry.k8s.io".to_owned(), access)]);
    let said = case
        .refused(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/single:v1: HOST/single does not let this be pulled without a login
      hint: it may be private or not exist: check the name, or give user and password under spec.registry.auths["HOST"]
    "#);

    let mut case = Case::at(&format!("http://me:secret@{host}"));
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.options.mirrors = mirrors(&format!("http://me:wrong-secret@{host}"));
    let said = case.refused(&["registry.k8s.io/pause:3.10"], BOTH).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/pause:3.10: HOST/pause does not let this be pulled with this login
      hint: check name, user and password under spec.registry.auths["HOST"], or in the mirror's address
    "#);
    assert!(!format!("{:?}", case.seen.all()).contains("secret"));
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_points() {
    let tokens = Server::start(|request| {
        if request.path.contains("scope=repository%3Asingle%3Apull") {
            Reply::ok(r#"{"token":"t0ken"}"#)
        } else {
            Reply::status(400)
        }
    })
    .await;
    let realm = format!("Bearer realm=\"{}/token\",service=\"x\"", tokens.url);
    let server = world()
        .serve(
            move |request, reply| match request.header("authorization") {
                Some("Bearer t0ken") => reply,
                _ => Reply::status(401).with("WWW-Authenticate", realm.clone()),
            },
        )
        .await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/single:v1"], &[Arch::Amd64])
        .await
        .unwrap();
    case.assert_sound();
}

#[tokio::test]
async fn a_token_server_that_refuses_is_quoted() {
    let tokens = Server::start(|_| Reply::status(401).body("incorrect username or password")).await;
    let realm = format!("Bearer realm=\"{}/token\"", tokens.url);
    let server = world()
        .serve(move |_, _| Reply::status(401).with("WWW-Authenticate", realm.clone()))
        .await;
    let host = server.url.replace("http://", "");
    let case = Case::at(&format!("http://me:secret@{host}"));
    let said = case.refused(&[PAUSE], BOTH).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/pause:3.10: HOST/pause refuses the login: incorrect username or password
      hint: check name, user and password under spec.registry.auths["HOST"], or in the mirror's address
    "#);
}

#[tokio::test]
async fn a_registry_with_its_own_certificate_is_trusted_as_told() {
    let (registry, pem) = Registry::with_tls();
    world().push(&registry.url, "below").await;
    let case = || Case::at(&format!("{}/below", registry.url));
    let single = &["registry.k8s.io/single:v1"];
    let host = registry.url.replace("https://", "");

    let said = case().refused(single, &[Arch::Amd64]).await;
    insta::assert_snapshot!(said.replace(&host, "HOST"), @r#"
    registry.k8s.io/single:v1: the certificate of HOST/below/single is not trusted here: client error (Connect): invalid peer certificate: UnknownIssuer
      hint: give the CA that signed it under spec.registry.auths["HOST"].certsPath, add it to this machine's, or set spec.registry.auths["HOST"].skipTLSVerify
    "#);

    let mut trusting = case();
    let file = trusting.layout().with_file_name("ca.pem");
    std::fs::write(&file, &pem).unwrap();
    trusting.options.http.ca_file = Some(file);
    trusting.copy(single, &[Arch::Amd64]).await.unwrap();

    let mut told = case();
    let certs_dir = Utf8PathBuf::from_path_buf(told.dir.path().join("certs")).unwrap();
    std::fs::create_dir(&certs_dir).unwrap();
    std::fs::write(certs_dir.join("ca.crt"), &pem).unwrap();
    let own = RegistryAccess {
        certs_dir: Some(certs_dir),
        ..RegistryAccess::default()
    };
    told.options.access = BTreeMap::from([(host.clone(), own)]);
    told.copy(single, &[Arch::Amd64]).await.unwrap();

    let mut careless = case();
    let unverified = RegistryAccess {
        transport: Transport::Unverified,
        ..RegistryAccess::default()
    };
    careless.options.access = BTreeMap::from([(host, unverified)]);
    careless.copy(single, &[Arch::Amd64]).await.unwrap();
}

#[tokio::test]
async fn one_image_under_two_names_is_one() {
    let mut world = World::default();
    let image = world.image("library/busybox", "linux/amd64", &[layer(1, 100)]);
    world.tag("library/busybox", "latest", &image);
    let server = world.serve(as_is).await;
    let mut case = Case::at(&server.url);
    case.options.mirrors = Mirrors::parse([format!("docker.io={}", server.url).as_str()]).unwrap();
    let jobs = [
        "busybox",
        "docker.io/library/busybox:latest",
        "index.docker.io/busybox",
    ]
    .into_iter()
    .zip(["b", "a", "b"])
    .map(|(reference, by)| ImageJob {
        reference: reference.into(),
        wanted_by: vec![by.into()],
    })
    .collect();
    let (layout, options) = (case.layout(), case.options.clone());
    let copied = copy_images(
        jobs,
        &[Arch::Amd64],
        &layout,
        options,
        &case.pins,
        &case.events,
        &case.cancel,
    )
    .await
    .unwrap();
    assert_eq!(copied.len(), 1);
    assert_eq!(
        copied[0].entry.reference,
        "docker.io/library/busybox:latest"
    );
    assert_eq!(copied[0].entry.wanted_by, ["a", "b"]);
}

#[tokio::test]
async fn what_is_missing_is_known_before_it_travels() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    let images = Images::new(&case.layout(), case.options.clone());
    let resolve = || {
        images.resolve(
            jobs(&[PAUSE, ETCD]),
            BOTH,
            &case.pins,
            &case.events,
            &case.cancel,
        )
    };
    let resolved = resolve().await.unwrap();
    assert_eq!(blobs_asked(&server), Vec::<String>::new());
    let missing = images.missing(&resolved);
    images
        .copy(resolved, &case.events, &case.cancel)
        .await
        .unwrap();
    let here: u64 = case
        .blobs()
        .iter()
        .map(|name| {
            let bytes = std::fs::read(case.layout().join("blobs/sha256").join(name)).unwrap();
            if bytes.starts_with(b"{") && !bytes.starts_with(b"{\"architecture") {
                0
            } else {
                bytes.len() as u64
            }
        })
        .sum();
    assert_eq!(missing, here);
    assert_eq!(images.missing(&resolve().await.unwrap()), 0);
}

#[tokio::test]
async fn what_no_image_needs_any_more_is_removed() {
    let server = world().serve(as_is).await;
    let case = Case::at(&server.url);
    case.copy(&[PAUSE, ETCD], BOTH).await.unwrap();
    let both = case.blobs().len();
    case.copy(&[PAUSE], BOTH).await.unwrap();
    assert_eq!(case.blobs().len(), both);
    let leftover = case
        .layout()
        .join("blobs/sha256")
        .join(format!("{}.part", Sha256::of(b"x")));
    std::fs::write(&leftover, "x").unwrap();
    let pruned = prune(&case.layout()).unwrap();
    // etcd's index, two manifests, two configs, two layers; and the leftover.
    assert_eq!(pruned.files, 8);
    case.assert_sound();
    let fresh = Case::at(&server.url);
    fresh.copy(&[PAUSE], BOTH).await.unwrap();
    assert_eq!(case.blobs(), fresh.blobs());
    assert_eq!(prune(&case.layout()).unwrap(), Pruned::default());
}

#[tokio::test]
async fn an_image_with_programs_of_another_architecture_is_warned_of() {
    let mut world = World::default();
    let amd64 = world.image("mixed", "linux/amd64", &[layer(1, 100)]);
    let arm64 = world.mixed_up("mixed", "linux/arm64", "linux/amd64", &[layer(2, 100)]);
    let index = world.index("mixed", &[amd64, arm64]);
    world.tag("mixed", "v1", &index);
    let server = world.serve(as_is).await;
    let case = Case::at(&server.url);
    case.copy(&["registry.k8s.io/mixed:v1"], BOTH)
        .await
        .unwrap();
    let warned = case.seen.all().into_iter().find_map(|event| match event {
        Event::Warning { message, .. } => Some(message),
        _ => None,
    });
    insta::assert_snapshot!(warned.unwrap(), @"registry.k8s.io/mixed:v1: the image for linux/arm64 says of itself that it is for linux/amd64");
}

#[test]
fn references_are_completed() {
    let full = |text: &str| full_reference(text).unwrap();
    assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
    assert_eq!(full("grafana/grafana:1"), "docker.io/grafana/grafana:1");
    assert_eq!(full("localhost:5000/a/b"), "localhost:5000/a/b:latest");
    let digest = Sha256::of(b"").oci();
    assert_eq!(
        full(&format!("quay.io/x:1@{digest}")),
        format!("quay.io/x:1@{digest}")
    );
    assert_eq!(
        full(&format!("quay.io/x@{digest}")),
        format!("quay.io/x@{digest}")
    );
    insta::assert_snapshot!(full_reference("quay.io/X").unwrap_err(), @"quay.io/X: not an image reference: names are written in lower case");
}
