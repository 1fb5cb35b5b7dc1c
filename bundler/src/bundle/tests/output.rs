//! Where a bundle may go, and what lies beside it.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::bundle::guard::Guard;

async fn refused(site: &Site, out: &str) -> String {
    let request = Request {
        out: site.path(out),
        ..site.request("work")
    };
    let error = run(request, &Events::nowhere()).await.unwrap_err();
    assert_eq!(
        site.upstream.downloads(),
        0,
        "it is told before anything comes"
    );
    site.said(&error)
}

#[tokio::test]
async fn a_bundle_takes_nothing_away() {
    let site = Site::new(SPEC).await;
    std::fs::create_dir_all(site.path("work/.kubexm")).unwrap();
    std::fs::create_dir_all(site.path("taken/kubexm")).unwrap();
    std::fs::write(site.path("config.yaml"), "kind: Cluster").unwrap();
    let other = "\nhint: name another file with -o";
    for (out, said) in [
        (
            "config.yaml",
            "DIR/config.yaml is there, and is no bundle\nhint: name another file with -o, or remove DIR/config.yaml",
        ),
        (
            "kubexm.lock",
            "the bundle cannot be DIR/kubexm.lock: that is the lock file",
        ),
        (
            "work/.kubexm/x.tar.zst",
            "the bundle cannot be DIR/work/.kubexm/x.tar.zst: DIR/work/.kubexm is kubexm's own",
        ),
        (
            "kubexm",
            "the bundle cannot be DIR/kubexm: kubexm itself is written there, beside the bundle",
        ),
        (
            "nowhere/x.tar.zst",
            "there is no directory DIR/nowhere for the bundle\nhint: make it first: mkdir -p DIR/nowhere",
        ),
        (
            "taken/x.tar.zst",
            "DIR/taken/kubexm is there, and is no file",
        ),
        ("work", "DIR/work is there, and is no file"),
    ] {
        let hint = if said.contains("hint") { "" } else { other };
        assert_eq!(refused(&site, out).await, format!("{said}{hint}"));
    }
    assert_eq!(
        std::fs::read(site.path("config.yaml")).unwrap(),
        b"kind: Cluster"
    );
}

#[tokio::test]
async fn what_travels_along_must_be_a_program_of_its_architecture() {
    let site = Site::new(SPEC).await;
    let mut request = site.request("work");
    let other = site.path("kubexm-arm64");
    std::fs::write(&other, elf(Arch::Amd64)).unwrap();
    request.kubexm.push(Kubexm {
        arch: Arch::Arm64,
        path: other,
    });
    let error = run(request, &Events::nowhere()).await.unwrap_err();
    assert_eq!(
        site.said(&error),
        "DIR/kubexm-arm64, which travels along, is no program for arm64\nhint: put the kubexm of that architecture there, or remove it"
    );
}

#[tokio::test]
async fn the_program_beside_can_be_started_whatever_lay_there() {
    let site = Site::new(SPEC).await;
    site.bundle("work").await.unwrap();
    let beside = site.path("work/kubexm");
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o644)).unwrap();
    site.bundle("work").await.unwrap();
    let mode = std::fs::metadata(&beside).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[tokio::test]
async fn what_no_image_leads_to_any_more_is_taken_out() {
    let mut site = Site::new(SPEC).await;
    site.bundle("work").await.unwrap();
    let blobs = site.path("work/.kubexm/example/images/blobs/sha256");
    let count = || std::fs::read_dir(&blobs).unwrap().count();
    let before = count();
    site.cluster.spec.images.clear();
    site.bundle("work").await.unwrap();
    assert!(count() < before);
}

/// The medium may be one that holds only small files: the whole is not packed there.
#[tokio::test]
async fn the_whole_that_is_cut_needs_its_room_where_the_tree_is() {
    let site = Site::new(SPEC).await;
    let room = async |segment_size| {
        let request = Request {
            segment_size,
            ..site.request("work")
        };
        let (events, cancel) = (Events::nowhere(), CancellationToken::new());
        let prepared = prepare(request, &events, &cancel).await;
        prepared.unwrap().rooms()
    };
    let [tree, out] = room(None).await;
    assert!(tree.largest == 0 && out.largest > 1);
    let [in_tree, on_medium] = room(Some(1)).await;
    assert_eq!((in_tree.largest, on_medium.largest), (out.largest, 1));
    assert!(in_tree.need > tree.need + out.largest && on_medium.need > out.largest);
}

#[tokio::test]
async fn a_tree_is_filled_wherever_a_bundle_could_not_go() {
    let site = Site::new(SPEC).await;
    let request = Request {
        out: site.path("nowhere/example.tar.zst"),
        ..site.request("work")
    };
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    let prepared = crate::bundle::prepare_tree(request, &events, &cancel);
    let filled = prepared.await.unwrap().fill(&events, &cancel).await;
    let filled = filled.unwrap();
    assert!(!filled.contents.files.is_empty());
    // Whoever installs from it goes on with the lock that it was filled under.
    let tree = site.request("work").work_dir.tree("example");
    let held = filled.guard.into_file();
    let busy = Guard::take(&tree).unwrap_err();
    assert!(matches!(busy, BundleError::Busy { .. }), "{busy}");
    drop(held);
    Guard::take(&tree).unwrap();
}

#[test]
fn layers_that_no_registry_holds_are_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let tree = artifact::Tree::at(Utf8Path::from_path(dir.path()).unwrap());
    let blobs = tree.images().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Sha256::of(bytes);
        std::fs::write(blobs.join(digest.to_string()), bytes).unwrap();
        digest
    };
    let config = put(b"{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config.oci(), "size": 2},
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": Sha256::of(b"windows").oci(), "size": 99, "urls": ["https://mcr.example/x"],
        }],
    });
    let digest = put(manifest.to_string().as_bytes());
    let image = artifact::ImageEntry {
        platforms: vec![artifact::PlatformEntry {
            arch: Arch::Amd64,
            digest,
            size: 2,
        }],
        ..artifact::ImageEntry::new("example.com/app:1", digest)
    };
    let (found, missing) = crate::bundle::layout::blobs(&tree, &[image]);
    assert_eq!((found.len(), missing), (2, Vec::new()));
}

#[tokio::test]
async fn a_delta_does_not_take_the_place_of_what_it_is_against() {
    let site = Site::new(SPEC).await;
    let path = site.path("told.json");
    let told = r#"{"inventory": 1, "cluster": "c", "kubexm": "0.1.0", "files": []}"#;
    std::fs::write(&path, told).unwrap();
    let request = Request {
        out: path.clone(),
        since: Some(crate::Since {
            base: artifact::Base::open(&path).unwrap(),
            path,
        }),
        ..site.request("work")
    };
    let error = run(request, &Events::nowhere()).await.unwrap_err();
    assert_eq!(
        site.said(&error),
        "the bundle cannot be DIR/told.json: that is what it shall be a delta against\nhint: name another file with -o"
    );
}

#[tokio::test]
async fn a_medium_gets_its_segments_and_nothing_else() {
    let site = Site::new(SPEC).await;
    let medium = tempfile::tempdir_in("/dev/shm").unwrap();
    let medium = Utf8Path::from_path(medium.path()).unwrap();
    let request = Request {
        out: medium.join("site.tar.zst"),
        segment_size: Some(64 << 20),
        ..site.request("work")
    };
    run(request, &Events::nowhere()).await.unwrap();
    let mut names: Vec<String> = medium
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    names.retain(|name| !name.starts_with("kubexm"));
    assert_eq!(names, ["site.tar.zst"]);
    Bundle::open(&medium.join("site.tar.zst")).unwrap();
    let state = WorkDir::new(site.path("work")).tree("example").state();
    assert!(!state.join("whole.tar.zst").exists());
}
