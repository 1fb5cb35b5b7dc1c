//! What is packed comes out again, and stock tools read it too.

mod common;

use std::process::Command;

use artifact::{Bundle, Tree};

use crate::common::{Site, assert_holds, unpack, verify};

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    for site in [Site::empty(), Site::small(), Site::large()] {
        let path = site.packed();
        let bundle = Bundle::open(&path).unwrap();
        assert_eq!(bundle.contents(), &site.contents);
        verify(&path).unwrap();
        let dest = Tree::at(site.path("dest"));
        let first = unpack(&path, &dest).unwrap();
        assert_eq!((first.written, first.kept), (site.contents.files.len(), 0));
        assert_holds(&dest, &site.contents);
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let site = Site::large();
    site.pack_as("one", 1, None).unwrap();
    for threads in [2, 5] {
        site.pack_as("many", threads, None).unwrap();
        let same =
            std::fs::read(site.path("one")).unwrap() == std::fs::read(site.path("many")).unwrap();
        assert!(same, "{threads} threads");
    }
}

#[test]
fn stock_tools_read_a_bundle() {
    let site = Site::large();
    let path = site.packed();
    output("zstd", &["-t", "-q", path.as_str()]);
    let listed = output("tar", &["--zstd", "-tf", path.as_str()]);
    let mut lines = listed.lines();
    assert_eq!(lines.next(), Some("bundle.json"));
    assert!(lines.eq(site.contents.files.iter().map(|file| file.path.as_str())));

    let dest = Tree::at(site.path("by-tar"));
    std::fs::create_dir(dest.root()).unwrap();
    output(
        "tar",
        &["--zstd", "-xpf", path.as_str(), "-C", dest.root().as_str()],
    );
    assert_holds(&dest, &site.contents);
}
