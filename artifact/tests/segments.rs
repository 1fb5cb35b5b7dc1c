//! A bundle in several files: each by itself is good, and together they are the tree, in whatever order they come.

mod common;

use artifact::{Bundle, Cancel, PackError, Segment, Tree, Verdict, split};
use camino::Utf8PathBuf;

use crate::common::{Site, assert_holds, noise, unpack, verify};

/// A bundle of some 60 MiB that nothing makes smaller.
fn site() -> Site {
    let mut site = Site::medium();
    for n in 0..6 {
        let content = [&[0x1f, 0x8b][..], &noise(n, 10 << 20)].concat();
        site.add(&format!("images/blobs/sha256/b{n}"), 0o644, &content);
    }
    site.sort();
    site
}

fn cut(site: &Site, most: u64) -> Result<Vec<Segment>, PackError> {
    let whole = Bundle::open(&site.packed()).unwrap();
    let name = |n, of| site.path(&format!("segments/site.{n}-of-{of}.tar.zst"));
    std::fs::create_dir_all(site.path("segments")).unwrap();
    split(&whole, most, name, &Cancel::default())
}

fn paths(segments: &[Segment]) -> Vec<Utf8PathBuf> {
    segments.iter().map(|one| one.path.clone()).collect()
}

#[test]
fn segments_are_each_good_and_make_the_tree_in_any_order() {
    let site = site();
    let segments = cut(&site, 25 << 20).unwrap();
    assert_eq!(segments.len(), 3);
    let files: usize = segments.iter().map(|one| one.files).sum();
    assert_eq!(files, site.contents.files.len());
    for one in &segments {
        assert!(one.size <= 25 << 20);
        assert_eq!(one.size, std::fs::metadata(&one.path).unwrap().len());
        verify(&one.path).unwrap();
    }
    let whole = Bundle::open(&site.packed()).unwrap();
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let dest = Tree::at(site.path(&format!("dest{}", order[0])));
        let [first, second, last] = order.map(|n| &segments[n].path);
        let done = unpack(first, &dest).unwrap();
        assert_eq!(done.missing.len(), 2);
        assert!(!dest.contents().exists());
        // The same once more is the same.
        let again = unpack(first, &dest).unwrap();
        assert_eq!((again.written, again.missing), (0, done.missing));
        let missing = unpack(second, &dest).unwrap().missing;
        let n = u32::try_from(order[2]).unwrap() + 1;
        assert_eq!(missing.iter().map(|it| it.n).collect::<Vec<_>>(), [n]);
        assert!(unpack(last, &dest).unwrap().missing.is_empty());
        assert_holds(&dest, &site.contents);
    }
    assert_eq!(
        Bundle::open(&segments[1].path).unwrap().digest(),
        whole.digest()
    );
}

#[test]
fn segments_of_the_next_bundle_take_the_place_of_the_one_before() {
    let (before, after) = (Site::medium(), site());
    let dest = Tree::at(after.path("dest"));
    unpack(&before.packed(), &dest).unwrap();
    for path in paths(&cut(&after, 25 << 20).unwrap()).iter().rev() {
        unpack(path, &dest).unwrap();
    }
    assert_holds(&dest, &after.contents);
}

#[test]
fn stock_tools_read_a_segment() {
    let site = site();
    for path in paths(&cut(&site, 25 << 20).unwrap()) {
        let listed = std::process::Command::new("tar")
            .args(["--zstd", "-tf", path.as_str()])
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
    }
}

#[test]
fn a_file_that_no_segment_holds_is_named() {
    let site = site();
    let error = cut(&site, 5 << 20).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Refused);
    let said = format!("{error}\n  hint: {}", error.hint().unwrap());
    assert!(said.contains("images/blobs/sha256/"), "{said}");
    assert!(said.contains("--segment-size"), "{said}");
    let left = site.path("segments").read_dir_utf8().unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_damaged_segment_is_found_by_itself() {
    let site = site();
    let segments = paths(&cut(&site, 25 << 20).unwrap());
    let mut bytes = std::fs::read(&segments[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segments[1], bytes).unwrap();
    verify(&segments[0]).unwrap();
    assert!(!verify(&segments[1]).unwrap_err().faults().is_empty());
    verify(&segments[2]).unwrap();
}

#[test]
fn what_fat_or_a_false_medium_has_cut_is_told_at_once() {
    let site = Site::medium();
    let path = site.packed();
    let told = |path: &Utf8PathBuf| {
        let error = Bundle::open(path).unwrap_err();
        format!("{error}\n  hint: {}", error.hint().unwrap()).replace(path.as_str(), "BUNDLE")
    };
    // As long as FAT32 lets a file be; most of it is a hole.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(u64::from(u32::MAX)).unwrap();
    let fat = told(&path);
    file.set_len(1 << 33).unwrap();
    insta::assert_snapshot!([fat, told(&path)].join("\n"));
    let dest = Tree::at(site.path("dest"));
    assert!(unpack(&path, &dest).is_err());
    assert!(!dest.root().exists());
}
