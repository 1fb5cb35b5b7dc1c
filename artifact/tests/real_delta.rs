//! What a delta between two builds of real programs and layers takes, beside what zstd makes of them.
//!
//! `KUBEXM_DELTA=OLD:NEW` names two folders; `programs` in each holds programs, `layers` holds layers as `NAME.tar.gz`.

mod common;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Instant;

use artifact::{Base, Bundle, FileEntry, ImageEntry, PlatformEntry, Sha256, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::Arch;

use crate::common::{Site, assert_holds, unpack, verify};

fn files(dir: &Utf8Path) -> BTreeMap<String, Utf8PathBuf> {
    let entries = dir.read_dir_utf8().unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name().to_owned(), entry.into_path()))
        .collect()
}

/// A release of such a folder.
fn site(version: &str, from: &Utf8Path) -> Site {
    let mut site = Site::empty();
    for (name, path) in files(&from.join("programs")) {
        site.add_program(&name, &std::fs::read(path).unwrap());
        let file = site.contents.files.pop().unwrap();
        let path = format!("kubernetes/{version}/amd64/{name}");
        let tree = site.tree();
        std::fs::create_dir_all(tree.path(Utf8Path::new(&path)).parent().unwrap()).unwrap();
        std::fs::rename(tree.path(&file.path), tree.path(Utf8Path::new(&path))).unwrap();
        site.contents.files.push(FileEntry {
            path: path.into(),
            ..file
        });
    }
    let mut index = Vec::new();
    for (name, path) in files(&from.join("layers")) {
        let mut blob = |content: &[u8]| {
            let digest = Sha256::of(content);
            site.add(&format!("images/blobs/sha256/{digest}"), 0o644, content);
            digest
        };
        let content = std::fs::read(path).unwrap();
        let bytes = content.len();
        let (layer, config) = (blob(&content), blob(name.as_bytes()));
        let manifest = format!(
            r#"{{"config": {{"digest": "{}", "size": {}}}, "layers": [{{"digest": "{}", "size": {bytes}}}]}}"#,
            config.oci(),
            name.len(),
            layer.oci()
        );
        let manifest = blob(manifest.as_bytes());
        index.push(format!(r#"{{"digest": "{}", "size": 1}}"#, manifest.oci()));
        let reference = format!("registry.k8s.io/{}:{version}", name.replace(".tar.gz", ""));
        site.contents.images.push(ImageEntry {
            platforms: vec![PlatformEntry {
                arch: Arch::Amd64,
                digest: manifest,
                size: bytes as u64,
            }],
            ..ImageEntry::new(reference, manifest)
        });
    }
    let index = format!(r#"{{"manifests": [{}]}}"#, index.join(","));
    site.add("images/index.json", 0o644, index.as_bytes());
    site.add(
        "images/oci-layout",
        0o644,
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    );
    site.sort();
    site.contents.files.dedup_by(|a, b| a.path == b.path);
    site
}

fn real(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap()
}

fn zstd_alone(old: &Utf8Path, new: &Utf8Path, aside: &Utf8Path) -> u64 {
    let mut sum = 0;
    for kind in ["programs", "layers"] {
        let before = files(&old.join(kind));
        for (name, path) in files(&new.join(kind)) {
            let zstd = Command::new("zstd")
                .args(["-q", "-f", "-3", "--long=27", "--patch-from"])
                .args([real(&before[&name]).as_str(), real(&path).as_str()])
                .args(["-o", aside.as_str()])
                .status();
            assert!(zstd.unwrap().success());
            sum += std::fs::metadata(aside).unwrap().len();
        }
    }
    sum
}

#[test]
#[ignore = "needs two builds of real programs: KUBEXM_DELTA=OLD:NEW"]
fn a_delta_of_two_builds_is_a_quarter_at_most() {
    let folders = std::env::var("KUBEXM_DELTA").expect("KUBEXM_DELTA=OLD:NEW");
    let (old, new) = folders.split_once(':').unwrap();
    let (before, after) = (site("v1.36.2", old.into()), site("v1.36.3", new.into()));
    let first = before.packed();
    let (full, began) = (after.packed(), Instant::now());
    let delta = after.delta(&Base::open(&first).unwrap());
    let made = began.elapsed();
    verify(&delta).unwrap();
    let size = |path: &Utf8Path| Bundle::open(path).unwrap().size();
    for carried in Bundle::open(&delta).unwrap().carried() {
        if carried.stored > 50_000 || carried.is_patch {
            let kind = if carried.is_patch { "patch" } else { "whole" };
            println!(
                "{kind} {:>10} of {:>10} {}",
                carried.stored, carried.file.size, carried.file.path
            );
        }
    }
    let dest = Tree::at(after.path("dest"));
    unpack(&first, &dest).unwrap();
    let began = Instant::now();
    unpack(&delta, &dest).unwrap();
    let applied = began.elapsed();
    assert_holds(&dest, &after.contents);
    let zstd = zstd_alone(old.into(), new.into(), &after.path("aside"));
    let (full, delta) = (size(&full), size(&delta));
    println!(
        "full {full}, delta {delta} ({} %), made in {made:.1?}, applied in {applied:.1?}; zstd --patch-from of each file {zstd}",
        delta * 100 / full
    );
    assert!(delta * 4 <= full);
}
