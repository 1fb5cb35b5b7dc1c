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
