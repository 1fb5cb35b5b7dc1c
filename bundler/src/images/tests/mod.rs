mod access;
mod broken;
mod copied;
mod refused;
mod world;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use artifact::PlatformEntry;
use camino::Utf8PathBuf;
use cluster::Arch;
use event::Event;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::fetch::testing::{Reply, Request, Seen, Server};
use crate::fetch::{Login, Retry};
use world::{Registry, World, layer};

const BOTH: &[Arch] = &[Arch::Amd64, Arch::Arm64];
const PAUSE: &str = "registry.k8s.io/pause:3.10";
const ETCD: &str = "registry.k8s.io/etcd:3.5.24-0";

/// Resolves and copies in one go.
async fn copy_images(
    jobs: Vec<ImageJob>,
    arches: &[Arch],
    layout: &Utf8Path,
    options: ImageOptions,
    (pins, events, cancel): (&BTreeMap<String, Sha256>, &Events, &CancellationToken),
) -> Result<Vec<CopiedImage>, ImageFailures> {
    let images = Images::new(layout, options);
    let jobs = jobs
        .into_iter()
        .map(|job| wanted_for(arches, job))
        .collect();
    let resolved = images.resolve(jobs, pins, events, cancel).await?;
    images.copy(resolved, events, cancel).await
}

fn wanted_for(arches: &[Arch], job: ImageJob) -> ImageJob {
    let arches = arches.iter().copied().collect();
    ImageJob { arches, ..job }
}

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
        arches: BOTH.iter().copied().collect(),
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
            (pins, events, cancel),
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
