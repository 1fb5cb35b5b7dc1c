//! What is in the layout afterwards, and what had to travel.

use super::*;

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
    // What upstream serves and signs is there too, byte for byte.
    assert_eq!(copied[1].entry.upstream, copied[1].upstream);
    let whole = std::fs::read(case.blob(&copied[1].upstream)).unwrap();
    assert_eq!(Sha256::of(&whole), copied[1].upstream);

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
        arches: BTreeSet::new(),
    })
    .collect();
    let (layout, options) = (case.layout(), case.options.clone());
    let copied = copy_images(
        jobs,
        &[Arch::Amd64],
        &layout,
        options,
        (&case.pins, &case.events, &case.cancel),
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
    let resolve = || images.resolve(jobs(&[PAUSE, ETCD]), &case.pins, &case.events, &case.cancel);
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
    // etcd's index and upstream's, two manifests, two configs, two layers; and the leftover.
    assert_eq!(pruned.files, 9);
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
    let full = |text: &str| resolve::parse(text).unwrap().whole();
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
    insta::assert_snapshot!(resolve::parse("quay.io/X").unwrap_err(), @"not an image reference: names are written in lower case");
}
