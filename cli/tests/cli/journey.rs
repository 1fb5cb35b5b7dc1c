//! The second disk: what is there is told, what is new is carried, and what is missing is named.

use std::fs;

use artifact::Inventory;

use super::bundles::{CONFIG, Site};
use super::kubexm;

/// The site has unpacked the first bundle, and has told what it holds.
fn asked() -> Site {
    let mut site = Site::new();
    site.unpack();
    fs::write(site.path().join("site.yaml"), CONFIG).unwrap();
    let args = ["get", "inventory", "-f", "site.yaml"];
    let output = kubexm(site.path().as_std_path(), &args).output().unwrap();
    assert!(output.status.success());
    let inventory: Inventory = serde_json::from_slice(&output.stdout).unwrap();
    assert!(inventory.bundle.is_some());
    fs::write(site.path().join("inventory.json"), output.stdout).unwrap();
    site.delta("inventory.json");
    site
}

#[test]
fn a_delta_tells_what_is_in_it_and_whether_the_rest_is_there() {
    let site = asked();
    insta::assert_snapshot!(site.told(&["inspect", "small.delta.tar.zst", "--files"]));
    insta::assert_snapshot!(site.told(&["verify", "small.delta.tar.zst"]));
    insta::assert_snapshot!(site.told(&["verify", "small.delta.tar.zst", "--work-dir", "."]));
}

#[test]
fn what_a_delta_builds_on_is_asked_for_before_anything_is_done() {
    let site = asked();
    fs::remove_file(
        site.path()
            .join(".kubexm/small/etcd/v3.5.24/arm64/etcd.tar.gz"),
    )
    .unwrap();
    let verified = site.told(&["verify", "small.delta.tar.zst", "--work-dir", "."]);
    insta::assert_snapshot!(verified);
}

#[test]
fn an_inventory_of_nothing_says_where_it_looked() {
    let site = Site::new();
    fs::write(site.path().join("site.yaml"), CONFIG).unwrap();
    insta::assert_snapshot!(site.told(&["get", "inventory", "-f", "site.yaml"]));
}

#[test]
fn what_tells_nothing_of_the_receiver_is_refused_before_anything_is_fetched() {
    let site = Site::new();
    fs::write(site.path().join("site.yaml"), CONFIG).unwrap();
    fs::write(site.path().join("other.json"), "{}").unwrap();
    insta::assert_snapshot!(site.told(&["bundle", "-f", "site.yaml", "--since", "other.json"]));
    insta::assert_snapshot!(site.told(&["bundle", "-f", "site.yaml", "--since", "nowhere.json"]));
}

#[test]
fn two_bundles_are_compared_without_unpacking_them() {
    let site = asked();
    insta::assert_snapshot!(site.told(&["diff", "small.tar.zst", "small.delta.tar.zst"]));
    // The tree of the site tells as much as the bundle that it came from.
    let tree = ["diff", ".kubexm/small/bundle.json", "small.delta.tar.zst"];
    assert_eq!(
        site.told(&tree),
        site.told(&["diff", "small.tar.zst", "small.delta.tar.zst"])
    );
    insta::assert_snapshot!(site.told(&["diff", "small.tar.zst", "small.tar.zst"]));
    let args = [
        "diff",
        "small.tar.zst",
        "small.delta.tar.zst",
        "--output",
        "json",
    ];
    let output = kubexm(site.path().as_std_path(), &args).output().unwrap();
    let json: serde_json::Value = serde_json::from_str(super::one_line(&output)).unwrap();
    assert_eq!(json["components"][0]["name"], "etcd", "{json}");
    assert_eq!(json["new"]["files"], 1, "{json}");
}

#[test]
fn a_bundle_is_shown_folder_by_folder() {
    insta::assert_snapshot!(Site::new().told(&["inspect", "small.tar.zst", "--tree"]));
}

#[test]
fn one_file_comes_out_and_replaces_nothing() {
    let site = Site::new();
    let extract = |args: &[&str]| site.told(&[&["extract", "small.tar.zst"], args].concat());
    insta::assert_snapshot!(extract(&["config.yaml"]));
    let there = site.path().join("config.yaml");
    assert_eq!(fs::read_to_string(&there).unwrap(), CONFIG);
    fs::write(&there, "mine").unwrap();
    insta::assert_snapshot!(extract(&["config.yaml"]));
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");

    fs::create_dir(site.path().join("out")).unwrap();
    let path = "etcd/v3.5.24/amd64/etcd.tar.gz";
    assert!(extract(&[path, "-o", "out"]).starts_with("exit 0"));
    let (one, other) = (site.path().join("source"), site.path().join("out"));
    let (one, other) = (one.join(path), other.join("etcd.tar.gz"));
    assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
    insta::assert_snapshot!(extract(&["etcd.tar"]));
    insta::assert_snapshot!(extract(&["nothing-of-the-kind"]));
}

#[test]
fn an_image_comes_out_as_a_layout_of_its_own() {
    let site = Site::new();
    let reference = "registry.k8s.io/pause:3.10.1";
    let args = ["extract", "small.tar.zst", reference, "-o", "layout"];
    insta::assert_snapshot!(site.told(&args));
    let layout = site.path().join("layout");
    let source = artifact::ImageSource::open(&layout, &site.path().join("none")).unwrap();
    assert_eq!(source.images[0].reference, reference);
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 2, "its manifest and its config, and nothing else");
    let left = fs::read_dir(site.path()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let parts: Vec<String> = names.filter(|name| name.contains(".part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

#[test]
fn what_is_not_in_the_file_is_not_made_up() {
    let site = asked();
    let args = [
        "extract",
        "small.delta.tar.zst",
        "etcd/v3.5.24/arm64/etcd.tar.gz",
    ];
    insta::assert_snapshot!(site.told(&args));
}

#[test]
fn a_damaged_file_does_not_come_out() {
    let site = Site::new();
    site.damage();
    let args = ["extract", "small.tar.zst", "etcd/v3.5.24/amd64/etcd.tar.gz"];
    let text = site.told(&args);
    assert!(text.starts_with("exit 3\n"), "{text}");
    assert!(!site.path().join("etcd.tar.gz").exists());
}
