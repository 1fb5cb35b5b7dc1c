//! Pushing to the real registry, with TLS and a password; skopeo is the judge.

mod common;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use artifact::{ImageEntry, PlatformEntry, Sha256};
use camino::Utf8Path;
use common::layout::{Layout, Part, entry};
use common::site::Site;
use common::{converge, operator, reason, said, told};
use engine::{Cx, Slot, State, Step};
use event::{Event, Events, Sink};
use secrecy::SecretString;
use step::{
    CertificateAuthority, KeyPairFiles, PushImages, RegistryCredentials, SiteRegistry, Trust,
};
use tokio::sync::Notify;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

const MIB: usize = 1 << 20;

/// Two images for two architectures, which share a layer, and one for a single architecture pinned by digest.
fn images(layout: &Layout) -> Vec<ImageEntry> {
    let base = layout.layer(1, 2 * MIB);
    let image = |arch: &str, seed: u64| layout.manifest(arch, &[&base, &layout.layer(seed, MIB)]);
    let server = layout.index(&[&image("amd64", 2), &image("arm64", 3)]);
    let proxy = layout.index(&[&image("amd64", 4), &image("arm64", 5)]);
    let single = image("amd64", 6);
    let pinned = format!("quay.io:443/team/tool@{}", single.digest.oci());
    vec![
        entry("registry.k8s.io/kube-apiserver:v1.36.2", &server),
        entry("registry.k8s.io/kube-proxy:v1.36.2", &proxy),
        entry(&pinned, &single),
    ]
}

fn layout_of(site: &Site) -> Layout {
    Layout::new(site.dir().join("images"))
}

/// What skopeo finds under a name of the site's registry.
fn manifest(site: &Site, name: &str) -> Sha256 {
    let (login, certs) = (site.login(), site.dir().join("certs-for-skopeo"));
    trust(site);
    let at = format!("docker://127.0.0.1:{}/{name}", site.port);
    let raw = said([
        "skopeo",
        "inspect",
        "--raw",
        "--creds",
        &login,
        "--cert-dir",
        certs.as_str(),
        &at,
    ]);
    Sha256::of(raw.as_bytes())
}

fn trust(site: &Site) {
    let certs = site.dir().join("certs-for-skopeo");
    fs::create_dir_all(&certs).unwrap();
    fs::copy(site.ca().certificate(), certs.join("ca.crt")).unwrap();
}

#[tokio::test]
async fn every_image_arrives_with_all_architectures_and_a_second_run_only_asks() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);
    let push = site.push(layout.dir(), images.clone());
    assert_eq!(
        converge(&push).await.unwrap().unwrap(),
        "the registry lacks registry.k8s.io/kube-apiserver:v1.36.2 and 2 more"
    );
    assert_eq!(
        manifest(&site, "registry.k8s.io/kube-apiserver:v1.36.2"),
        images[0].digest
    );
    assert_eq!(
        manifest(&site, "registry.k8s.io/kube-proxy:v1.36.2"),
        images[1].digest
    );
    let pinned = format!("quay.io_443/team/tool@{}", images[2].digest.oci());
    assert_eq!(manifest(&site, &pinned), images[2].digest);

    // Skopeo checks each digest on the way.
    let back = Layout::new(site.dir().join("back"));
    let (login, certs) = (site.login(), site.dir().join("certs-for-skopeo"));
    let from = format!(
        "docker://127.0.0.1:{}/registry.k8s.io/kube-proxy:v1.36.2",
        site.port
    );
    let to = format!("oci:{}:proxy", back.dir());
    said([
        "skopeo",
        "copy",
        "-q",
        "--all",
        "--preserve-digests",
        "--src-creds",
        &login,
        "--src-cert-dir",
        certs.as_str(),
        &from,
        &to,
    ]);
    assert!(fs::exists(back.path(images[1].digest)).unwrap());

    let counts = || ["\"HEAD ", "\"GET ", ""].map(|words| site.asked(&[words]));
    let before = counts();
    assert_eq!(converge(&push).await.unwrap(), None);
    let [heads, gets, all] = counts();
    // Two indexes with two manifests each, and one without; each of the five has a config and two layers, and the two of an
    // index share one of these.
    assert_eq!(gets - before[1], 7);
    assert_eq!(heads - before[0], 5 + 5 + 3);
    assert_eq!(all - before[2], 7 + 13);
}

#[tokio::test]
async fn a_blob_of_many_images_travels_once() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);
    converge(&site.push(layout.dir(), images)).await.unwrap();
    let base = layout.layer(1, 2 * MIB).digest.to_string();
    assert_eq!(site.asked(&["\"PUT ", &base]), 1);
    assert_eq!(site.asked(&["\"POST ", "mount=", &base, "\" 201 "]), 2);
    // Five layers of their own, five configs, and the shared one.
    assert_eq!(site.asked(&["\"PUT ", "/blobs/uploads/"]), 11);
}

#[tokio::test]
async fn a_new_image_costs_only_its_own_blobs() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let mut images = images(&layout);
    converge(&site.push(layout.dir(), images.clone()))
        .await
        .unwrap();
    let before = site.asked(&["\"PUT ", "/blobs/uploads/"]);
    let base = layout.layer(1, 2 * MIB);
    let next = layout.manifest("amd64", &[&base, &layout.layer(7, MIB)]);
    images.push(entry("registry.k8s.io/kube-proxy:v1.36.3", &next));
    assert_eq!(
        converge(&site.push(layout.dir(), images))
            .await
            .unwrap()
            .unwrap(),
        "the registry lacks registry.k8s.io/kube-proxy:v1.36.3"
    );
    assert_eq!(site.asked(&["\"PUT ", "/blobs/uploads/"]) - before, 2);
}

/// What a power cut leaves of a file that was written a moment before.
fn empty(path: &Utf8Path) {
    assert!(fs::metadata(path).unwrap().len() > 0, "{path}");
    fs::write(path, "").unwrap();
}

#[tokio::test]
async fn a_blob_that_a_power_cut_left_empty_is_found_and_put_right() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);
    let push = site.push(layout.dir(), images.clone());
    converge(&push).await.unwrap();
    let base = layout.layer(1, 2 * MIB);
    let whole = fs::metadata(site.content(base.digest)).unwrap().len();
    empty(&site.content(base.digest));

    let proof = site.proof(images.clone());
    let told = told(&proof.check(&operator()).await.unwrap_err());
    let told = told.replace(&base.digest.to_string(), "[layer]");
    let told = told.replace(&images[2].digest.to_string(), "[tool]");
    insta::assert_snapshot!(told, @r"
    registry.k8s.io/kube-apiserver:v1.36.2 is damaged: sha256:[layer] has 0 bytes instead of 2098688
    registry.k8s.io/kube-proxy:v1.36.2 is damaged: sha256:[layer] has 0 bytes instead of 2098688
    quay.io_443/team/tool@sha256:[tool] is damaged: sha256:[layer] has 0 bytes instead of 2098688
    hint: kubexm install pushes again what is missing or damaged
    ");

    // The registry does not take by name what it has by name: it has to be removed there.
    let why = converge(&push).await.unwrap().unwrap();
    insta::assert_snapshot!(why.replace(&base.digest.to_string(), "[layer]"), @"damaged in the registry: registry.k8s.io/kube-apiserver:v1.36.2 and 2 more; sha256:[layer] has 0 bytes instead of 2098688");
    assert_eq!(
        fs::metadata(site.content(base.digest)).unwrap().len(),
        whole
    );
    assert_eq!(proof.check(&operator()).await.unwrap(), State::Satisfied);
    assert_eq!(converge(&push).await.unwrap(), None);
}

#[tokio::test]
async fn whatever_file_of_the_registry_is_empty_one_run_puts_it_right() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let base = layout.layer(1, 1000);
    let single = layout.manifest("amd64", &[&base]);
    let index = layout.index(&[&single]);
    let image = entry("quay.io/team/tool:1", &index);
    let push = site.push(layout.dir(), vec![image]);
    converge(&push).await.unwrap();
    let repository = site
        .dir()
        .join("registry/docker/registry/v2/repositories/quay.io/team/tool");
    let link = |of: &str| repository.join(of).join("link");
    for file in [
        site.content(index.digest),
        site.content(single.digest),
        link(&format!("_layers/sha256/{}", base.digest)),
        link(&format!("_manifests/revisions/sha256/{}", single.digest)),
        link(&format!("_manifests/revisions/sha256/{}", index.digest)),
        link("_manifests/tags/1/current"),
    ] {
        empty(&file);
        assert!(converge(&push).await.unwrap().is_some(), "{file}");
        assert_eq!(converge(&push).await.unwrap(), None, "{file}");
    }
    assert_eq!(manifest(&site, "quay.io/team/tool:1"), index.digest);
}

/// Wakes somebody once so many bytes have moved, and adds up what moves.
struct Watch {
    at: u64,
    done: AtomicU64,
    woken: Arc<Notify>,
}

impl Sink for Watch {
    fn on(&self, _: jiff::Timestamp, event: &Event) {
        if let Event::Progress { done, .. } = event {
            self.done.fetch_max(*done, Ordering::Relaxed);
            if *done >= self.at {
                self.woken.notify_one();
            }
        }
    }
}

fn watched(at: u64) -> (Cx, Arc<Watch>) {
    let watch = Arc::new(Watch {
        at,
        done: AtomicU64::new(0),
        woken: Arc::default(),
    });
    let events = Events::to(vec![watch.clone()]);
    let progress = events.progress(events.next_id(), None);
    (
        Cx {
            progress,
            ..operator()
        },
        watch,
    )
}

#[tokio::test]
async fn a_push_that_was_killed_is_finished_by_the_next() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);
    let push = site.push(layout.dir(), images.clone());
    let (cx, watch) = watched(3 * MIB as u64);
    tokio::select! {
        _ = push.apply(&cx) => panic!("it ended before it was killed"),
        () = watch.woken.notified() => {}
    }
    assert!(converge(&push).await.unwrap().is_some());
    assert_eq!(
        manifest(&site, "registry.k8s.io/kube-apiserver:v1.36.2"),
        images[0].digest
    );
}

#[tokio::test]
async fn a_registry_that_dies_and_comes_back_loses_nothing() {
    let mut site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);
    let push = site.push(layout.dir(), images.clone());
    let (cx, watch) = watched(3 * MIB as u64);
    let running = tokio::spawn(async move { push.apply(&cx).await });
    watch.woken.notified().await;
    site.kill();
    site.start();
    // Whether the pauses were long enough is up to the machine; that the fault may pass is not.
    if let Err(error) = running.await.unwrap() {
        assert!(error.may_pass(), "{error}");
    }
    let push = site.push(layout.dir(), images.clone());
    converge(&push).await.unwrap();
    assert_eq!(
        manifest(&site, "registry.k8s.io/kube-proxy:v1.36.2"),
        images[1].digest
    );
}

#[tokio::test]
async fn progress_adds_up_to_what_was_announced() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let mut images = images(&layout);
    for image in &mut images {
        image.platforms = vec![PlatformEntry {
            arch: "amd64".parse().unwrap(),
            digest: image.digest,
            size: sizes(&layout, image.digest),
        }];
    }
    let push = site.push(layout.dir(), images.clone());
    let (cx, watch) = watched(0);
    push.apply(&cx).await.unwrap();
    assert_eq!(Some(watch.done.load(Ordering::Relaxed)), push.bytes());
    let (cx, watch) = watched(0);
    push.apply(&cx).await.unwrap();
    assert_eq!(Some(watch.done.load(Ordering::Relaxed)), push.bytes());
}

/// All layers and configs of an image, read anew from the layout.
fn sizes(layout: &Layout, digest: Sha256) -> u64 {
    let value: serde_json::Value =
        serde_json::from_slice(&fs::read(layout.path(digest)).unwrap()).unwrap();
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    let children = list("manifests").into_iter();
    let children: u64 = children
        .map(|child| sizes(layout, child["digest"].as_str().unwrap().parse().unwrap()))
        .sum();
    let own = list("layers")
        .into_iter()
        .chain(value.get("config").cloned());
    children + own.map(|blob| blob["size"].as_u64().unwrap()).sum::<u64>()
}

/// The error of a push, without what differs from run to run.
async fn fails(push: &PushImages, site: &Site) -> String {
    let error = match push.check(&operator()).await {
        Ok(_) => push.apply(&operator()).await.unwrap_err(),
        Err(error) => error,
    };
    told(&error)
        .replace(&format!(":{}", site.port), ":[port]")
        .replace(site.dir().as_str(), "[tree]")
}

#[tokio::test]
async fn a_registry_that_is_not_the_sites_own_is_refused() {
    let mut site = Site::new().await;
    let layout = layout_of(&site);
    let images = images(&layout);

    let slot = Slot::new("registry credentials");
    let password = SecretString::from("wrong");
    slot.fill(RegistryCredentials {
        username: "kubexm".to_owned(),
        password,
    });
    let push = PushImages::new(
        site.registry(),
        slot,
        layout.dir(),
        images.clone(),
        Slot::new("pushed"),
    );
    insta::assert_snapshot!(fails(&push, &site).await, @r"
    the registry 127.0.0.1:[port] refused the credentials
    hint: the registry reads them from its htpasswd file; running `install` again puts ours there
    ");

    let other = KeyPairFiles::at(site.dir().join("other/ca"));
    converge(&CertificateAuthority::new(other.clone(), "registry-ca"))
        .await
        .unwrap();
    let at = SiteRegistry {
        trust: Trust::File(other.certificate()),
        ..site.registry()
    };
    let push = PushImages::new(
        at,
        site.credentials.clone(),
        layout.dir(),
        images.clone(),
        Slot::new("pushed"),
    );
    insta::assert_snapshot!(fails(&push, &site).await, @r#"
    the certificate of the registry 127.0.0.1:[port] is not trusted: invalid peer certificate: BadSignature
    hint: is it the site's registry that answers there, under a name or address of its certificate?
    "#);

    let at = SiteRegistry {
        url: format!("https://localhost:{}", site.port),
        ..site.registry()
    };
    let push = PushImages::new(
        at,
        site.credentials.clone(),
        layout.dir(),
        images.clone(),
        Slot::new("pushed"),
    );
    insta::assert_snapshot!(fails(&push, &site).await, @r#"
    the certificate of the registry localhost:[port] is not trusted: invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for IpAddress(127.0.0.1)
    hint: is it the site's registry that answers there, under a name or address of its certificate?
    "#);

    site.kill();
    let push = site.push(layout.dir(), images);
    assert!(push.check(&operator()).await.unwrap_err().may_pass());
    insta::assert_snapshot!(fails(&push, &site).await, @r"
    cannot reach the registry 127.0.0.1:[port]: Connection refused (os error 111)
    hint: is the registry's service running, and may this machine reach its port?
    ");
}

#[tokio::test]
async fn a_tree_that_lacks_something_or_is_damaged_is_said() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let image = |part: &Part| vec![entry("quay.io/team/tool:1", part)];
    let layer = layout.layer(1, 1000);
    let root = layout.manifest("amd64", &[&layer]);
    let push = site.push(layout.dir(), image(&root));
    let bytes = fs::read(layout.path(layer.digest)).unwrap();

    fs::remove_file(layout.path(layer.digest)).unwrap();
    let lacking = fails(&push, &site).await;
    insta::assert_snapshot!(lacking.replace(&layer.digest.to_string(), "[layer]"), @r"
    quay.io/team/tool:1: [tree]/images/blobs/sha256/[layer] is missing from the tree
    hint: the tree has changed since it was unpacked: remove that file and run `install` with the bundle again
    ");

    fs::write(layout.path(layer.digest), &bytes[1..]).unwrap();
    let cut = fails(&push, &site).await;
    insta::assert_snapshot!(cut.lines().next().unwrap().replace(&layer.digest.to_string(), "[layer]"), @"quay.io/team/tool:1: [tree]/images/blobs/sha256/[layer] is damaged: it has 2559 bytes instead of 2560");

    let mut flipped = bytes.clone();
    flipped[700] ^= 1;
    fs::write(layout.path(layer.digest), &flipped).unwrap();
    let flipped = fails(&push, &site).await;
    insta::assert_snapshot!(flipped.replace(&layer.digest.to_string(), "[layer]"), @r"
    sha256:[layer] of quay.io/team/tool arrived at the registry 127.0.0.1:[port] with another digest
    hint: the file in the tree may be damaged: remove it and run `install` with the bundle again
    ");
    assert_eq!(
        reason(&push).await,
        "the registry lacks quay.io/team/tool:1"
    );

    fs::write(layout.path(layer.digest), &bytes).unwrap();
    let manifest = fs::read(layout.path(root.digest)).unwrap();
    fs::write(layout.path(root.digest), &manifest[..manifest.len() - 1]).unwrap();
    let damaged = fails(&push, &site).await;
    insta::assert_snapshot!(damaged.lines().next().unwrap().replace(&root.digest.to_string(), "[manifest]"), @"quay.io/team/tool:1: [tree]/images/blobs/sha256/[manifest] is damaged: its content has another SHA-256");

    fs::write(layout.path(root.digest), &manifest).unwrap();
    converge(&push).await.unwrap();
}

#[tokio::test]
async fn what_a_registry_may_answer_becomes_a_sentence() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let root = layout.manifest("amd64", &[&layout.layer(1, 1000)]);
    let images = vec![entry("quay.io/team/tool:1", &root)];
    let mut sentences = Vec::new();
    // What distribution 2.8 answers on a full disk, but for the paths.
    let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":"write /var/lib/registry/data: no space left on device"}]}"#;
    let no_inode = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"DriverName":"filesystem","Enclosed":{"Op":"mkdir","Path":"/var/lib/registry/x","Err":28}}}]}"#;
    let denied =
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
    let answers = [
        ("PUT", 413, "<html>"),
        ("PUT", 507, ""),
        ("PUT", 500, full),
        ("POST", 500, no_inode),
        ("POST", 403, denied),
        ("POST", 405, "no uploads here"),
    ];
    for (at, status, body) in answers {
        let server = MockServer::start().await;
        let refused = ResponseTemplate::new(status).set_body_string(body);
        Mock::given(method(at))
            .respond_with(refused)
            .mount(&server)
            .await;
        let nothing = ResponseTemplate::new(404);
        Mock::given(method("HEAD"))
            .respond_with(nothing)
            .mount(&server)
            .await;
        let to = format!(
            "{}/v2/quay.io/team/tool/blobs/uploads/1?state=x",
            server.uri()
        );
        let begun = ResponseTemplate::new(202).insert_header("location", to);
        Mock::given(method("POST"))
            .respond_with(begun)
            .mount(&server)
            .await;
        let at = SiteRegistry {
            url: server.uri(),
            ..site.registry()
        };
        let push = PushImages::new(
            at,
            site.credentials.clone(),
            layout.dir(),
            images.clone(),
            Slot::new("pushed"),
        );
        let error = push.apply(&operator()).await.unwrap_err();
        assert!(!error.may_pass());
        let error = told(&error).replace(&server.address().to_string(), "[registry]");
        let digest = |word: &str| {
            word.split("sha256:")
                .nth(1)
                .map(|rest| rest[..64].to_owned())
        };
        let error = match digest(&error) {
            Some(digest) => error.replace(&digest, "[blob]"),
            None => error,
        };
        sentences.push(error);
    }
    insta::assert_snapshot!(sentences.join("\n"), @r"
    the registry [registry] refused sha256:[blob] of quay.io/team/tool as too large
    hint: raise the limit for request bodies of the proxy in front of the registry
    the registry [registry] has no space left for sha256:[blob] of quay.io/team/tool
    hint: free space where the registry keeps its images and run again
    the registry [registry] has no space left for sha256:[blob] of quay.io/team/tool
    hint: free space where the registry keeps its images and run again
    the registry [registry] has no space left for sha256:[blob] of quay.io/team/tool
    hint: free space where the registry keeps its images and run again
    the registry [registry] does not allow sha256:[blob] of quay.io/team/tool to be pushed: requested access to the resource is denied
    hint: the user needs the right to push
    the registry [registry] answered 405 Method Not Allowed to sha256:[blob] of quay.io/team/tool: no uploads here
    ");
}

#[tokio::test]
async fn credentials_go_nowhere_else() {
    let site = Site::new().await;
    let layout = layout_of(&site);
    let root = layout.manifest("amd64", &[&layout.layer(1, 1000)]);
    let (registry, stranger) = (MockServer::start().await, MockServer::start().await);
    let nothing = ResponseTemplate::new(404);
    Mock::given(method("HEAD"))
        .respond_with(nothing)
        .mount(&registry)
        .await;
    let begun = ResponseTemplate::new(202).insert_header(
        "location",
        format!("{}/v2/x/blobs/uploads/1", stranger.uri()),
    );
    Mock::given(method("POST"))
        .respond_with(begun)
        .mount(&registry)
        .await;
    let at = SiteRegistry {
        url: registry.uri(),
        ..site.registry()
    };
    let images = vec![entry("quay.io/team/tool:1", &root)];
    let push = PushImages::new(
        at,
        site.credentials.clone(),
        layout.dir(),
        images,
        Slot::new("pushed"),
    );
    let error = push.apply(&operator()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("/v2/x/blobs/uploads/1, which is not itself"),
        "{error}"
    );
    assert!(stranger.received_requests().await.unwrap().is_empty());
}
