mod addons;
mod hops;
mod output;
mod packages;
mod parity;
mod rpms;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use artifact::{Bundle, Cancel, Contents, Program, Sha256, WorkDir};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::{Arch, Cluster};
use event::{Event, Events};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Kubexm, Report, Request, plan, prepare};
use crate::error::BundleError;
use crate::fetch::testing::Seen;
use crate::fetch::{HttpOptions, Retry};
use crate::lock::LockMode;
use crate::testing::{Upstream, archive, cluster, elf, manifest};

const SPEC: &str = r#"{
    "arch": ["amd64", "arm64"],
    "roleGroups": {"registry": ["registry1"]},
    "hosts": [
        {"name": "node1", "address": "192.0.2.1", "password": "correct horse battery"},
        {"name": "registry1", "address": "192.0.2.2", "privateKey": "staple staple"}
    ],
    "kubernetes": {"version": "v1.34.2"},
    "network": {"plugin": "flannel"},
    "registry": {"auths": {"dockerhub.kubexm.local": {"username": "me", "password": "tr0ub4dor"}}},
    "tools": [],
    "images": ["ghcr.io/example/app:1"]
}"#;

/// A place to work in, with an upstream to fetch from.
struct Site {
    dir: TempDir,
    upstream: Upstream,
    cluster: Cluster,
}

impl Site {
    async fn new(spec: &str) -> Self {
        let cluster = cluster(spec);
        let upstream = Upstream::of(&cluster).await;
        Self {
            dir: tempfile::tempdir().unwrap(),
            upstream,
            cluster,
        }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.dir.path()).unwrap().join(name)
    }

    /// In a work directory of that name; the lock file is the same for all.
    fn request(&self, work: &str) -> Request {
        let kubexm = self.path("this-kubexm");
        std::fs::write(&kubexm, elf(Arch::Amd64)).unwrap();
        std::fs::create_dir_all(self.path(work)).unwrap();
        Request {
            cluster: self.cluster.clone(),
            upgrade_from: None,
            arches: BTreeSet::new(),
            work_dir: WorkDir::new(self.path(work)),
            lock: self.path("kubexm.lock"),
            lock_mode: LockMode::Pin,
            update: BTreeSet::new(),
            out: self.path(work).join("example.tar.zst"),
            mirrors: self.upstream.mirrors(),
            http: HttpOptions {
                retry: Retry {
                    attempts: 2,
                    first_delay: Duration::from_millis(1),
                    longest_delay: Duration::from_millis(2),
                },
                ..HttpOptions::default()
            },
            jobs: NonZeroUsize::new(4).unwrap(),
            access: BTreeMap::new(),
            keyrings: Vec::new(),
            since: None,
            segment_size: None,
            parity: None,
            signer: None,
            kubexm: vec![Kubexm {
                arch: Arch::Amd64,
                path: kubexm,
            }],
        }
    }

    async fn bundle(&self, work: &str) -> Result<Report, BundleError> {
        run(self.request(work), &Events::nowhere()).await
    }

    /// The error, without what differs from run to run.
    async fn fails(&self) -> String {
        let error = self.bundle("work").await.unwrap_err();
        assert!(
            !self.path("work/example.tar.zst").exists(),
            "nothing under a final name"
        );
        self.said(&error)
    }

    fn said(&self, error: &BundleError) -> String {
        let hint = error
            .hint()
            .map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        format!("{error}{hint}")
            .replace(self.path("").as_str(), "DIR/")
            .replace(&self.upstream.server.url, "http://UP")
            .replace(self.upstream.server.url.trim_start_matches("http://"), "UP")
    }
}

async fn run(request: Request, events: &Events) -> Result<Report, BundleError> {
    let cancel = CancellationToken::new();
    // Both are large, and every test would hold them.
    let prepared = Box::pin(prepare(request, events, &cancel)).await?;
    Box::pin(prepared.run(events, &cancel)).await
}

fn open(report: &Report) -> Contents {
    let bundle = Bundle::open(&report.out).unwrap();
    bundle
        .verify(
            NonZeroUsize::MIN,
            &event::Progress::unseen(),
            &Cancel::default(),
        )
        .unwrap();
    bundle.contents().clone()
}

fn names(programs: &[Program]) -> Vec<&str> {
    programs
        .iter()
        .map(|program| program.name.as_str())
        .collect()
}

#[tokio::test]
async fn a_config_becomes_a_bundle_that_holds_all_it_asks_for() {
    let site = Site::new(SPEC).await;
    let report = site.bundle("work").await.unwrap();
    let manifest = open(&report);
    let paths: Vec<&str> = manifest
        .files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| !path.starts_with("images/blobs"))
        .collect();
    insta::assert_snapshot!(paths.join("\n"));

    let [release] = manifest.releases.as_slice() else {
        panic!("one release");
    };
    assert_eq!(release.kubernetes, "v1.34.2".parse().unwrap());
    assert_eq!(release.images_of(artifact::ImageSet::Pause).len(), 1);
    assert_eq!(manifest.config_of("example").unwrap().path, "config.yaml");
    assert_eq!(manifest.serial, 1);
    for arch in Arch::ALL {
        let etcd = manifest.files_of(release, "etcd", arch).next().unwrap();
        assert_eq!(names(&etcd.programs), ["etcd", "etcdctl", "etcdutl"]);
        assert!(
            etcd.origin
                .as_ref()
                .unwrap()
                .starts_with("https://github.com/"),
            "never the mirror"
        );
        assert!(
            etcd.checksum_from
                .as_ref()
                .unwrap()
                .ends_with("/SHA256SUMS")
        );
        assert_eq!(manifest.programs_of(release, "runc", arch).count(), 1);
    }
    let images: Vec<String> = manifest
        .images
        .iter()
        .map(|image| format!("{} <- {}", image.reference, image.wanted_by.join(", ")))
        .collect();
    insta::assert_snapshot!(images.join("\n"));
    assert!(
        manifest
            .images
            .iter()
            .all(|image| image.platforms.len() == 2)
    );

    let beside = site.path("work/kubexm");
    assert_eq!(report.kubexm, std::slice::from_ref(&beside));
    assert_eq!(std::fs::read(beside).unwrap(), elf(Arch::Amd64));
}

#[tokio::test]
async fn two_bundles_from_one_lock_are_the_same_bytes() {
    let site = Site::new(SPEC).await;
    let first = site.bundle("one").await.unwrap();
    let locked = Request {
        lock_mode: LockMode::Locked,
        ..site.request("two")
    };
    let second = run(locked, &Events::nowhere()).await.unwrap();
    assert!(std::fs::read(&first.out).unwrap() == std::fs::read(&second.out).unwrap());
    assert_eq!(first.digest, second.digest);
}

#[tokio::test]
async fn a_second_bundle_fetches_nothing_and_is_the_same() {
    let site = Site::new(SPEC).await;
    let first = site.bundle("work").await.unwrap();
    let bytes = std::fs::read(&first.out).unwrap();
    let downloads = site.upstream.downloads();
    let second = site.bundle("work").await.unwrap();
    assert_eq!(site.upstream.downloads(), downloads);
    // The plugin's manifest came before all others, to be asked for its images.
    assert_eq!(
        (first.fetched, second.fetched),
        (first.files + first.images - 1, 0)
    );
    assert!(std::fs::read(&second.out).unwrap() == bytes);
}

#[tokio::test]
async fn no_secret_of_the_config_is_in_the_tree() {
    let site = Site::new(SPEC).await;
    let report = site.bundle("work").await.unwrap();
    for file in open(&report).files {
        let content = std::fs::read(site.path("work/.kubexm/example").join(&file.path)).unwrap();
        let content = String::from_utf8_lossy(&content);
        for secret in ["correct horse battery", "staple staple", "tr0ub4dor"] {
            assert!(!content.contains(secret), "{secret} in {}", file.path);
        }
    }
}

#[tokio::test]
async fn what_upstream_does_not_have_is_told_all_at_once() {
    let site = Site::new(SPEC).await;
    site.upstream.remove("etcd-v3.6.5-linux-arm64.tar.gz");
    site.upstream.remove("/ghcr.io/example/app/manifests/1");
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn content_unlike_its_checksum_is_refused() {
    let site = Site::new(SPEC).await;
    site.upstream.replace("/amd64/kubelet", b"something else");
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn an_image_that_lacks_a_platform_is_refused() {
    let site = Site::new(SPEC).await;
    site.upstream
        .publish_image("ghcr.io/example/app:1", &[Arch::Amd64]);
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn a_program_for_the_wrong_architecture_is_refused_and_not_kept() {
    let site = Site::new(SPEC).await;
    site.upstream.publish("/arm64/kubelet", &elf(Arch::Amd64));
    site.upstream.publish(
        "registry_2.8.3_linux_amd64.tar.gz",
        &archive(&[("README.md", 0o644, b"x")]),
    );
    insta::assert_snapshot!(site.fails().await);
    assert!(
        !site
            .path("work/.kubexm/example/kubernetes/v1.34.2/arm64/kubelet")
            .exists()
    );
    assert!(
        !site.path("kubexm.lock").exists(),
        "nobody is held to what was refused"
    );
    site.upstream.publish("/arm64/kubelet", &elf(Arch::Arm64));
    site.upstream.publish(
        "registry_2.8.3_linux_amd64.tar.gz",
        &archive(&[("registry", 0o755, b"#!/bin/sh\n")]),
    );
    site.bundle("work").await.unwrap();
}

#[tokio::test]
async fn an_unreachable_mirror_is_named() {
    let site = Site::new(SPEC).await;
    let mirrors = crate::mirror::Mirrors::parse(["*=http://127.0.0.1:1"]).unwrap();
    let request = Request {
        mirrors,
        ..site.request("work")
    };
    let error = run(request, &Events::nowhere()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("flannel v0.27.4: http://127.0.0.1:1/"),
        "{said}"
    );
    assert!(said.contains("cannot be reached"), "{said}");
    assert!(error.hint().unwrap().contains("--mirror"));
}

#[tokio::test]
async fn locked_means_exactly_what_was_locked() {
    let mut site = Site::new(SPEC).await;
    let locked = |site: &Site| Request {
        lock_mode: LockMode::Locked,
        ..site.request("work")
    };
    let error = run(locked(&site), &Events::nowhere()).await.unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    there is no lock file DIR/kubexm.lock, and --locked asks for one
    hint: bundle once without --locked, look at what changed in the lock file, and keep it
    ");
    site.bundle("work").await.unwrap();
    site.cluster.spec.images = vec![cluster::OwnImage::of_all("ghcr.io/example/other:2")];
    site.cluster.spec.registry.version = Some("2.8.2".parse().unwrap());
    let error = run(locked(&site), &Events::nowhere()).await.unwrap_err();
    insta::assert_snapshot!(site.said(&error));
}

#[tokio::test]
async fn what_changed_upstream_under_the_same_name_is_refused() {
    let site = Site::new(SPEC).await;
    site.bundle("before").await.unwrap();
    let mut other = elf(Arch::Amd64);
    other.extend(b"rebuilt");
    site.upstream.publish("/amd64/kubelet", &other);
    insta::assert_snapshot!(site.fails().await);
}

#[tokio::test]
async fn a_tag_that_moved_stays_what_was_locked() {
    let site = Site::new(SPEC).await;
    let before = open(&site.bundle("before").await.unwrap());
    site.upstream
        .publish_image("ghcr.io/example/app:1", &[Arch::Arm64]);
    let after = open(&site.bundle("after").await.unwrap());
    assert_eq!(before.images, after.images);
}

#[tokio::test]
async fn what_has_no_published_checksum_is_recorded_and_said() {
    let docker = SPEC.replace(
        r#""version": "v1.34.2""#,
        r#""version": "v1.34.2", "containerRuntime": {"type": "docker"}"#,
    );
    let site = Site::new(&docker).await;
    let (seen, events) = Seen::watch();
    run(site.request("work"), &events).await.unwrap();
    let notes = seen.all().into_iter().filter(|event| {
        matches!(event, Event::Note { message } if message.contains("publishes no checksum; sha256:"))
    });
    assert_eq!(
        notes.count(),
        5,
        "docker and cri-dockerd for two architectures, and the manifest of flannel"
    );
    site.upstream
        .replace("/x86_64/docker-28.5.1.tgz", b"another file");
    let error = site.bundle("again").await.unwrap_err().to_string();
    assert!(
        error.contains("docker v28.5.1 for amd64") && error.contains("lock file"),
        "{error}"
    );
}

#[tokio::test]
async fn kubeadm_has_the_last_word_on_images() {
    let kubeadm = SPEC.replace(
        r#""version": "v1.34.2""#,
        r#""type": "kubeadm", "version": "v1.34.2""#,
    );
    let site = Site::new(&kubeadm).await;
    let here = if cfg!(target_arch = "x86_64") {
        "/amd64/kubeadm"
    } else {
        "/arm64/kubeadm"
    };
    site.upstream.publish(
        here,
        b"#!/bin/sh\necho registry.k8s.io/kube-apiserver:v1.34.2\necho registry.k8s.io/pause:3.99\n",
    );
    site.upstream
        .publish_image("registry.k8s.io/pause:3.99", &Arch::ALL);
    let manifest = open(&site.bundle("work").await.unwrap());
    let pauses: Vec<_> = manifest
        .images
        .iter()
        .filter(|image| image.reference.contains("/pause:"))
        .collect();
    assert_eq!(pauses.len(), 1);
    assert_eq!(pauses[0].reference, "registry.k8s.io/pause:3.99");
    assert_eq!(
        pauses[0].wanted_by,
        ["containerRuntime containerd", "kubernetes kubeadm"]
    );
}

#[tokio::test]
async fn without_an_answer_of_kubeadm_the_catalogue_is_taken_and_said() {
    let kubeadm = SPEC.replace(
        r#""version": "v1.34.2""#,
        r#""type": "kubeadm", "version": "v1.34.2""#,
    );
    let site = Site::new(&kubeadm).await;
    let (seen, events) = Seen::watch();
    run(site.request("work"), &events).await.unwrap();
    let warned = seen.all().into_iter().any(|event| {
        matches!(event, Event::Warning { message, .. } if message.contains("taken from the catalogue"))
    });
    assert!(warned);
}

#[tokio::test]
async fn one_bundle_of_a_cluster_at_a_time() {
    let site = Site::new(SPEC).await;
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    let first = prepare(site.request("work"), &events, &cancel)
        .await
        .unwrap();
    let second = site.bundle("work").await.unwrap_err();
    assert!(matches!(second, BundleError::Busy { .. }), "{second}");
    first.run(&events, &cancel).await.unwrap();
    site.bundle("work").await.unwrap();
}

#[tokio::test]
async fn an_interrupted_bundle_leaves_nothing_final_and_the_next_run_continues() {
    let site = Site::new(SPEC).await;
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    let prepared = prepare(site.request("work"), &events, &cancel)
        .await
        .unwrap();
    cancel.cancel();
    let error = prepared.run(&events, &cancel).await.unwrap_err();
    assert!(error.is_interrupted(), "{error}");
    assert!(!site.path("work/example.tar.zst").exists());
    open(&site.bundle("work").await.unwrap());
}

#[tokio::test]
async fn a_plan_shows_everything_and_writes_nothing() {
    let site = Site::new(SPEC).await;
    let request = site.request("work");
    let plan = plan(&request, &Events::nowhere(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(std::fs::read_dir(site.path("work")).unwrap().count(), 0);
    let rows: Vec<String> = plan
        .rows
        .iter()
        .map(|row| {
            let arches: Vec<&str> = row.arches.iter().map(|arch| arch.go()).collect();
            format!(
                "{:?} {} {} {} {:?}",
                row.kind,
                row.name,
                row.version,
                arches.join(","),
                row.pin
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"));
    assert!(
        plan.rows.iter().all(|row| row.size.is_some()),
        "every server tells"
    );
}

#[tokio::test]
async fn what_no_stage_could_find_is_told_with_who_asks() {
    let site = Site::new(SPEC).await;
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    let mut manifest = open(&site.bundle("work").await.unwrap());
    let tree = WorkDir::new(site.path("work")).tree("example");
    let prepared = prepare(site.request("work"), &events, &cancel)
        .await
        .unwrap();
    let wanted = &prepared.details.wanted;
    assert_eq!(
        super::prove::missing(&prepared.details.hops, wanted, &manifest, &tree),
        []
    );

    manifest
        .images
        .retain(|image| !image.reference.contains("flannel-cni-plugin"));
    for file in &mut manifest.files {
        file.programs.retain(|program| program.name != "etcdctl");
    }
    let kubelet = "kubernetes/v1.34.2/arm64/kubelet";
    std::fs::remove_file(tree.path(Utf8Path::new(kubelet))).unwrap();
    let missing = super::prove::missing(&prepared.details.hops, wanted, &manifest, &tree);
    let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn with_plugin(plugin: &str) -> String {
    SPEC.replace(
        r#""plugin": "flannel""#,
        &format!(r#""plugin": "{plugin}""#),
    )
}

/// What a bundle says when one image is not there any more, for each image that the spec asks for.
async fn without_each_image(spec: &str) -> String {
    let mut said = String::new();
    for image in Site::new(spec).await.upstream.images() {
        let site = Site::new(spec).await;
        let (repository, tag) = image.rsplit_once(':').unwrap();
        site.upstream
            .remove(&format!("/{repository}/manifests/{tag}"));
        let error = site.fails().await;
        let line = error.lines().find(|line| line.contains(&image));
        said.push_str(line.unwrap_or(&error).split(": ").next().unwrap().trim());
        said.push('\n');
    }
    said
}

#[tokio::test]
async fn each_image_of_each_plugin_is_missed_with_who_asks() {
    for plugin in ["calico", "flannel", "bridge", "none"] {
        let said = Box::pin(without_each_image(&with_plugin(plugin))).await;
        insta::assert_snapshot!(format!("without_each_image_{plugin}"), said);
    }
}

#[tokio::test]
async fn the_images_of_a_plugin_are_those_that_its_manifest_names() {
    let site = Site::new(&with_plugin("calico")).await;
    let (node, webhook) = ("quay.io/calico/node:v3.31.3", "quay.io/calico/webhook:v9");
    site.upstream
        .replace("/calico.yaml", &manifest(&[node, webhook]));
    // One that the catalogue does not know is asked for like all others, and is not to be had here.
    insta::assert_snapshot!(site.fails().await, @r"
    one thing could not be fetched:
      image quay.io/calico/webhook:v9, wanted by network calico: not found at UP/quay.io/calico/webhook
    hint: check name and tag; a mirror may not have it
    ");
    site.upstream.replace("/calico.yaml", &manifest(&[node]));
    let manifest = open(&site.bundle("other").await.unwrap());
    let of_calico = manifest.images.iter();
    let of_calico = of_calico.filter(|image| image.reference.contains("calico/"));
    let of_calico: Vec<&str> = of_calico.map(|image| image.reference.as_str()).collect();
    assert_eq!(of_calico, [node]);
}

#[tokio::test]
async fn a_manifest_that_is_none_is_refused() {
    let site = Site::new(SPEC).await;
    site.upstream.replace("/kube-flannel.yml", b"a: b: c");
    insta::assert_snapshot!(site.fails().await, @r"
    one file is not what it should be:
      flannel v0.27.4: manifests/flannel/v0.27.4/kube-flannel.yml: is not a manifest of Kubernetes: it is not YAML: mapping values are not allowed in this context at line 1, column 5
    hint: upstream or a mirror serves the wrong file; look at what its address gives
    ");
}

#[tokio::test]
async fn a_blob_that_is_gone_or_cut_is_missed() {
    let site = Site::new(SPEC).await;
    let manifest = open(&site.bundle("work").await.unwrap());
    let tree = WorkDir::new(site.path("work")).tree("example");
    let (blobs, missing) = super::layout::blobs(&tree, &manifest.images);
    assert_eq!(missing, []);
    let shared = manifest
        .files
        .iter()
        .filter(|file| file.path.starts_with("images/blobs"))
        .count();
    assert_eq!(
        blobs.len(),
        shared,
        "the bundle holds the blobs of its images and no others"
    );

    let image = &manifest.images[0];
    let blob = tree.path(&Utf8PathBuf::from(format!(
        "images/blobs/sha256/{}",
        image.platforms[1].digest
    )));
    let bytes = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, &bytes[..bytes.len() - 1]).unwrap();
    let (_, missing) = super::layout::blobs(&tree, std::slice::from_ref(image));
    assert!(!missing.is_empty());
    assert!(
        missing
            .iter()
            .all(|m| m.to_string().contains(&image.reference)),
        "{missing:?}"
    );
}
