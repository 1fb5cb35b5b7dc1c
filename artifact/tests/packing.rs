//! Packing a tree that is not as listed, and writing over what is there.

mod common;

use std::os::unix::fs::symlink;

use artifact::{Bundle, Cancel, PackError, Packing, Sha256, Verdict, pack};
use event::Progress;

use crate::common::{Site, jobs, noise};

/// How packing fails, having left nothing.
fn failure(site: &Site) -> PackError {
    std::fs::write(site.path("out.tar.zst"), "the bundle before").unwrap();
    let error = site.pack_as("out.tar.zst", 2, None).unwrap_err();
    assert_eq!(
        std::fs::read(site.path("out.tar.zst")).unwrap(),
        b"the bundle before"
    );
    assert!(!site.path(".out.tar.zst.part").exists());
    error
}

fn write(site: &Site, path: &str, content: &[u8]) {
    std::fs::write(site.tree().path(path.into()), content).unwrap();
}

#[test]
fn a_tree_that_changed_since_it_was_listed_is_not_packed() {
    let changed = |change: fn(&Site)| {
        let site = Site::large();
        change(&site);
        failure(&site)
            .to_string()
            .replace(site.tree().root().as_str(), "TREE")
    };
    let report = [
        changed(|site| write(site, "config.yaml", b"longer than it was before")),
        changed(|site| write(site, "config.yaml", &[b'x'; 25])),
        changed(|site| write(site, "packages/all.txt", &noise(3, 10 << 20))),
        changed(|site| write(site, "packages/all.txt", b"short")),
        changed(|site| write(site, "kubernetes/v1.34.2/amd64/kubelet", &noise(3, 3 << 20))),
        changed(|site| std::fs::remove_file(site.tree().path("config.yaml".into())).unwrap()),
        changed(|site| {
            let path = site.tree().path("config.yaml".into());
            std::fs::rename(&path, site.path("elsewhere")).unwrap();
            symlink(site.path("elsewhere"), &path).unwrap();
        }),
    ];
    insta::assert_snapshot!(report.join("\n"), @"
    config.yaml is not the file that bundle.json lists: its content has another SHA-256
    config.yaml is not the file that bundle.json lists: its content has another SHA-256
    packages/all.txt is not the file that bundle.json lists: its content has another SHA-256
    packages/all.txt is not the file that bundle.json lists: it has 5 bytes instead of 10485760
    kubernetes/v1.34.2/amd64/kubelet is not the file that bundle.json lists: its content has another SHA-256
    cannot read TREE/config.yaml to pack it: No such file or directory (os error 2)
    config.yaml is not the file that bundle.json lists: it is no regular file
    ");
}

#[test]
fn a_list_that_no_bundle_may_have_is_refused_at_once() {
    let mut site = Site::small();
    site.contents.files.reverse();
    insta::assert_snapshot!(failure(&site), @r#"cannot pack: bundle.json lists "images/index.json": the list is not sorted by path"#);
    let mut site = Site::small();
    site.add("state/journal", 0o644, b"");
    site.sort();
    insta::assert_snapshot!(failure(&site), @r#"cannot pack: bundle.json lists "state/journal": the name is reserved"#);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let site = Site::small();
    let error = site.pack_as("no/such/folder.tar.zst", 1, None).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Io);
    insta::assert_snapshot!(error.to_string().replace(site.path("").as_str(), "DIR/"), @"cannot write DIR/no/such/folder.tar.zst: No such file or directory (os error 2)");
}

#[test]
fn an_interrupted_run_leaves_nothing_and_a_killed_one_is_replaced() {
    let site = Site::large();
    let cancel = Cancel::default();
    cancel.cancel();
    let error = pack(&Packing {
        tree: &site.tree(),
        contents: &site.contents,
        output: &site.path("out.tar.zst"),
        since: None,
        signer: None,
        jobs: jobs(2),
        progress: &Progress::unseen(),
        cancel: &cancel,
    })
    .unwrap_err();
    assert_eq!(error.verdict(), Verdict::Cancelled);
    assert!(!site.path("out.tar.zst").exists() && !site.path(".out.tar.zst.part").exists());

    std::fs::write(site.path(".out.tar.zst.part"), "half").unwrap();
    site.pack_as("out.tar.zst", 2, None).unwrap();
    assert!(!site.path(".out.tar.zst.part").exists());
}

#[test]
fn what_was_packed_is_told_and_is_what_opens() {
    let site = Site::small();
    let packed = site
        .pack_as("out.tar.zst", 1, Some(&common::signer()))
        .unwrap();
    let path = site.path("out.tar.zst");
    assert_eq!(packed.size, path.metadata().unwrap().len());
    let bundle = Bundle::open(&path).unwrap();
    assert_eq!(
        (packed.size, packed.digest),
        (bundle.size(), bundle.digest())
    );
    assert_eq!(bundle.digest(), Sha256::of(bundle.contents_bytes()));
}

#[test]
fn what_is_alike_or_compressed_already_costs_little() {
    let site = Site::large();
    let packed = site.pack_as("out.tar.zst", 2, None).unwrap();
    // One of three alike programs, the layer, and what else does not compress.
    let once = (3 << 20) / 2 + (9 << 20) + 100_000 + (10 << 20) / 2;
    assert!(
        packed.size < once + (once / 50),
        "{} against {once}",
        packed.size
    );
}

#[test]
fn a_bundle_that_nobody_would_read_is_not_packed() {
    let mut site = Site::small();
    site.contents.cluster = ",".repeat((1 << 20) + 1);
    let many = failure(&site);
    site.contents.cluster = "x".repeat(16 << 20);
    let large = failure(&site);
    assert_eq!(many.verdict(), Verdict::Refused);
    insta::assert_snapshot!(format!("{many}\n{large}\nhint: {}", large.hint().unwrap()), @"
    cannot pack: bundle.json is larger than any that is read: it has more than 2^20 commas
    cannot pack: bundle.json is larger than any that is read: it has more than 16 MiB
    hint: make a bundle for fewer operating systems, architectures or images
    ");
}
