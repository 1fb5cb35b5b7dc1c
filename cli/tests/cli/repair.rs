//! What was lost of a bundle comes back out of its parity, and what cannot is said.

use std::fs;

use artifact::{Cancel, Percent, Sparing, make_parity};

use super::bundles::Site;

/// A bundle of one block, and parity that can make it again.
fn spared() -> (Site, Vec<u8>) {
    let site = Site::new();
    let bundle = site.bundle();
    let sparing = Sparing {
        files: std::slice::from_ref(&bundle),
        share: Percent::new(5).unwrap(),
        largest: u64::MAX,
        kubexm: env!("CARGO_PKG_VERSION"),
        cancel: &Cancel::default(),
    };
    let parity = site.path().join("small.parity");
    make_parity(&sparing, |_, _| parity.clone()).unwrap();
    let bytes = fs::read(&bundle).unwrap();
    (site, bytes)
}

#[test]
fn a_damaged_bundle_is_made_again_and_so_is_a_lost_one() {
    let (site, whole) = spared();
    let repair = ["repair", "small.tar.zst", "small.parity"];
    insta::assert_snapshot!(site.told(&repair));
    site.damage();
    assert!(
        site.told(&["verify", "small.tar.zst"])
            .starts_with("exit 3")
    );
    insta::assert_snapshot!(site.told(&repair));
    assert!(fs::read(site.bundle()).unwrap() == whole);
    assert!(
        site.told(&["verify", "small.tar.zst"])
            .starts_with("exit 0")
    );

    fs::remove_file(site.bundle()).unwrap();
    fs::create_dir(site.path().join("out")).unwrap();
    let lost = ["repair", "small.parity", "-o", "out", "--output", "json"];
    let text = site.told(&lost);
    assert!(
        text.starts_with("exit 0") && text.contains("\"blocks\":1"),
        "{text}"
    );
    assert!(fs::read(site.path().join("out/small.tar.zst")).unwrap() == whole);
}

#[test]
fn what_cannot_be_made_again_ends_with_its_code() {
    let (site, _) = spared();
    let mut said = vec![site.told(&["repair", "small.tar.zst"])];
    // Both the block and its parity.
    site.damage();
    let parity = site.path().join("small.parity");
    let mut bytes = fs::read(&parity).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&parity, bytes).unwrap();
    said.push(site.told(&["repair", "."]));
    said.push(site.told(&["repair", "nowhere", "small.parity"]));
    assert!(
        said[0].starts_with("exit 2\n") && said[1].starts_with("exit 3\n"),
        "{said:?}"
    );
    insta::assert_snapshot!(said.join("\n"));
}
