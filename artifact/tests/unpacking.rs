//! What becomes of a tree: resumed, upgraded, interrupted, and in the way.

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;

use artifact::{Bundle, BundleError, Cancel, Tree, Verdict};
use camino::Utf8Path;
use event::{Event, Events, Progress, Sink};
use jiff::Timestamp;

use crate::common::{Site, assert_holds, assert_nothing_bad, files_below, jobs, program, unpack};

#[test]
fn a_second_run_keeps_what_is_right_and_mends_the_rest() {
    let site = Site::large();
    let path = site.packed();
    let dest = Tree::at(site.path("dest"));
    unpack(&path, &dest).unwrap();
    let all = site.contents.files.len();
    let again = unpack(&path, &dest).unwrap();
    assert_eq!((again.written, again.kept), (0, all));

    let tree = |path: &str| dest.path(path.into());
    std::fs::write(tree("tools/block"), [b'y'; 512]).unwrap();
    std::fs::write(tree("config.yaml"), "short").unwrap();
    std::fs::remove_file(tree("images/index.json")).unwrap();
    std::fs::set_permissions(tree("empty"), PermissionsExt::from_mode(0o777)).unwrap();
    let mended = unpack(&path, &dest).unwrap();
    assert_eq!((mended.written, mended.kept), (3, all - 3));
    assert_holds(&dest, &site.contents);
}

#[test]
fn what_is_there_is_not_read_from_the_bundle_again() {
    let site = Site::large();
    let path = site.packed();
    let dest = Tree::at(site.path("dest"));
    unpack(&path, &dest).unwrap();
    std::fs::remove_file(dest.path("config.yaml".into())).unwrap();
    // Past the head and the first small members, the bundle is worth nothing now.
    let bundle = Bundle::open(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; 1 << 20], bundle.size() / 2).unwrap();
    unpack(&path, &dest).unwrap();
    assert_holds(&dest, &site.contents);
}

/// Interrupts a run when so many bytes are done.
struct Interrupt {
    at: u64,
    cancel: Cancel,
}

impl Sink for Interrupt {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Progress { done, .. } = event
            && *done >= self.at
        {
            self.cancel.cancel();
        }
    }
}

fn interrupt(at: u64) -> (Progress, Cancel) {
    let cancel = Cancel::default();
    let events = Events::to(vec![Arc::new(Interrupt {
        at,
        cancel: cancel.clone(),
    })]);
    (events.progress(events.next_id(), None), cancel)
}

#[test]
fn an_interrupted_run_leaves_only_whole_files_and_the_next_goes_on() {
    let site = Site::large();
    let path = site.packed();
    let dest = Tree::at(site.path("dest"));
    let total = site.contents.content_size();
    for part in 1..4 {
        let (progress, cancel) = interrupt(total * part / 4);
        let bundle = Bundle::open(&path).unwrap();
        let error = bundle
            .unpack(&dest, jobs(2), &progress, &cancel)
            .unwrap_err();
        assert_eq!(error.verdict(), Verdict::Cancelled);
        assert_nothing_bad(&dest, &site.contents);
    }
    let done = unpack(&path, &dest).unwrap();
    assert!(done.kept > 0, "{done:?}");
    assert_holds(&dest, &site.contents);

    let (progress, cancel) = interrupt(0);
    let bundle = Bundle::open(&path).unwrap();
    let error = bundle.verify(jobs(2), &progress, &cancel).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Cancelled);
}

#[test]
fn leftovers_of_a_killed_run_are_replaced() {
    let site = Site::small();
    let path = site.packed();
    let dest = Tree::at(site.path("dest"));
    std::fs::create_dir_all(dest.path("tools".into())).unwrap();
    std::fs::write(dest.path("tools/.block.part".into()), "half").unwrap();
    std::fs::write(dest.path(".bundle.json.part".into()), "half").unwrap();
    unpack(&path, &dest).unwrap();
    assert_holds(&dest, &site.contents);
}

#[test]
fn a_tree_says_that_it_is_complete_only_while_it_is() {
    let mut site = Site::small();
    let old = site.packed();
    let dest = Tree::at(site.path("dest"));
    unpack(&old, &dest).unwrap();
    let old = site.contents.clone();

    site.contents
        .files
        .retain(|file| file.path != "tools/block");
    site.add("tools/new", 0o755, &program(1, 5 << 20));
    site.sort();
    let path = site.packed();
    let (progress, cancel) = interrupt(1 << 20);
    let bundle = Bundle::open(&path).unwrap();
    bundle
        .unpack(&dest, jobs(1), &progress, &cancel)
        .unwrap_err();
    assert!(!dest.contents().exists());

    let done = unpack(&path, &dest).unwrap();
    assert_eq!(done.pruned, ["tools/block"]);
    assert!(!dest.path("tools/block".into()).exists());
    assert_holds(&dest, &site.contents);
    assert_ne!(old, site.contents);
    assert_eq!(unpack(&path, &dest).unwrap().pruned, Vec::<&str>::new());
}

#[test]
fn pruning_removes_the_folders_that_are_empty_then() {
    let mut site = Site::small();
    let dest = Tree::at(site.path("dest"));
    unpack(&site.packed(), &dest).unwrap();
    site.contents
        .files
        .retain(|file| !file.path.starts_with("deep"));
    unpack(&site.packed(), &dest).unwrap();
    assert!(!dest.path("deep".into()).exists());
    assert!(dest.path("tools".into()).exists());
}

#[test]
fn links_in_the_tree_lead_nowhere() {
    let site = Site::small();
    let path = site.packed();
    let outside = site.path("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("block"), "precious").unwrap();

    // The file itself, and its temporary name, are replaced and not followed.
    let dest = Tree::at(site.path("dest"));
    std::fs::create_dir_all(dest.path("tools".into())).unwrap();
    symlink(outside.join("block"), dest.path("tools/block".into())).unwrap();
    symlink(outside.join("block"), dest.path("tools/.block.part".into())).unwrap();
    unpack(&path, &dest).unwrap();
    assert_holds(&dest, &site.contents);

    // A folder that is a link out of the tree is an error.
    let dest = Tree::at(site.path("trapped"));
    std::fs::create_dir(dest.root()).unwrap();
    symlink(&outside, dest.path("tools".into())).unwrap();
    let error = unpack(&path, &dest).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Io);
    insta::assert_snapshot!(error.to_string().replace(dest.root().as_str(), "TREE"), @"cannot write TREE/tools/block: a path led outside of the filesystem");
    insta::assert_snapshot!(error.hint().unwrap(), @"a folder on the way there is a link out of the tree: remove the link, and run again");
    assert_eq!(std::fs::read(outside.join("block")).unwrap(), b"precious");
    assert_eq!(files_below(&outside), ["block"]);
}

/// Others that stop because of it have nothing to say.
#[test]
fn what_cannot_be_written_is_told_whoever_else_is_at_work() {
    let mut site = Site::empty();
    for (seed, name) in ["a", "b", "c", "d", "trap/e"].into_iter().enumerate() {
        site.add(name, 0o644, &common::noise(seed as u64, 3 << 20));
    }
    let bundle = Bundle::open(&site.packed()).unwrap();
    for _ in 0..10 {
        let dest = Tree::at(site.path("dest"));
        std::fs::create_dir(dest.root()).unwrap();
        symlink(site.path("tree"), dest.path("trap".into())).unwrap();
        let ended = bundle.unpack(&dest, jobs(5), &Progress::unseen(), &Cancel::default());
        let error = ended.unwrap_err();
        assert!(matches!(error, BundleError::Write { .. }), "{error}");
        std::fs::remove_dir_all(dest.root()).unwrap();
    }
}

#[test]
fn a_file_may_become_a_folder_and_a_folder_a_file() {
    let mut one = Site::empty();
    one.add("first", 0o644, b"a file");
    one.add("second/deep/file", 0o644, b"below");
    let mut other = Site::empty();
    other.add("first/file", 0o644, b"below");
    other.add("second", 0o644, b"a file");
    let dest = Tree::at(one.path("dest"));
    for site in [&one, &other, &one] {
        unpack(&site.packed(), &dest).unwrap();
        assert_holds(&dest, &site.contents);
    }
}

#[test]
fn what_a_bundle_left_that_was_never_completed_goes_with_the_next() {
    let site = |names: &[&str]| {
        let mut site = Site::empty();
        for name in names {
            site.add(name, 0o644, name.as_bytes());
        }
        site
    };
    let (first, last) = (site(&["a", "d"]), site(&["c", "d"]));
    let dest = Tree::at(first.path("dest"));
    unpack(&first.packed(), &dest).unwrap();
    // Two in a row, neither to its end: the last file of each is damaged.
    for name in ["b1", "b2"] {
        let mut begun = site(&[name]);
        begun.add("z", 0o644, &common::noise(1, 5 << 20));
        let path = begun.packed();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        unpack(&path, &dest).unwrap_err();
        assert!(!dest.contents().exists());
    }
    assert!(dest.path("b2".into()).exists());
    let done = unpack(&last.packed(), &dest).unwrap();
    assert_eq!(done.pruned, ["a", "b2"]);
    assert_holds(&dest, &last.contents);
}

#[test]
fn lists_in_the_tree_are_read_within_bounds_and_never_waited_for() {
    let site = Site::small();
    let path = site.packed();
    for name in [
        "bundle.json",
        ".bundle.json.before",
        ".bundle.json.next.part",
    ] {
        let dest = Tree::at(site.path(&format!("sparse{name}")));
        std::fs::create_dir(dest.root()).unwrap();
        let list = std::fs::File::create(dest.path(name.into())).unwrap();
        list.set_len(1 << 40).unwrap();
        unpack(&path, &dest).unwrap();
        assert_holds(&dest, &site.contents);

        let dest = Tree::at(site.path(&format!("pipe{name}")));
        std::fs::create_dir(dest.root()).unwrap();
        let pipe = dest.path(name.into());
        let status = Command::new("mkfifo").arg(pipe).status().unwrap();
        assert!(status.success());
        unpack(&path, &dest).unwrap();
        assert_holds(&dest, &site.contents);
    }
}

#[test]
fn a_tree_is_read_as_strictly_as_a_bundle() {
    let mut site = Site::small();
    let tree = site.tree();
    let mut read = |change: fn(&mut artifact::Contents)| {
        change(&mut site.contents);
        std::fs::write(tree.contents(), site.contents.to_bytes()).unwrap();
        let refused = artifact::Contents::of_tree(&tree).map(|_| ());
        refused.map_err(|error| error.to_string().replace(tree.root().as_str(), "TREE"))
    };
    assert_eq!(read(|_| ()), Ok(()));
    insta::assert_snapshot!([
        read(|contents| contents.format = 9).unwrap_err(),
        read(|contents| contents.format = 0).unwrap_err(),
        read(|contents| {
            contents.format = artifact::FORMAT;
            contents.files[0].path = "../../etc/hostname".into();
        }).unwrap_err(),
    ].join("\n"), @r#"
    TREE: bundle.json has format 9; this kubexm reads up to 1
    TREE: bundle.json has format 0, and the first is 1
    TREE: bundle.json lists "../../etc/hostname": not a plain relative path (no '..', '.', '//' or leading '/')
    "#);
}

#[test]
fn a_member_that_is_larger_than_asked_for_is_not_read() {
    let site = Site::large();
    let bundle = Bundle::open(&site.packed()).unwrap();
    let read = bundle.read("packages/all.txt".into(), 1 << 20, &Cancel::default());
    let shown = read.unwrap_err().to_string();
    insta::assert_snapshot!(shown.replace(bundle.path().as_str(), "BUNDLE"), @"BUNDLE: packages/all.txt has 10485760 bytes; at most 1 MiB of it are read");
}

#[test]
fn one_member_can_be_read_by_itself() {
    let site = Site::large();
    let bundle = Bundle::open(&site.packed()).unwrap();
    let cancel = Cancel::default();
    let read = |path: &str| bundle.read(path.into(), 1 << 20, &cancel).unwrap();
    assert_eq!(read("config.yaml").unwrap(), b"apiVersion: kubexm.io/v1\n");
    assert_eq!(read("empty").unwrap(), b"");
    assert_eq!(read("images/blobs/sha256/ab").unwrap().len(), 100_000);
    assert_eq!(read("no/such/file"), None);
}

#[test]
fn a_signature_lies_beside_the_manifest_it_belongs_to() {
    let site = Site::small();
    let dest = Tree::at(site.path("dest"));
    let bundle = site.path("bundle.tar.zst");
    site.pack_as("bundle.tar.zst", 1, Some(&common::signer()))
        .unwrap();
    unpack(&bundle, &dest).unwrap();
    let beside = dest.path("bundle.json.sig".into());
    let signature = std::fs::read(&beside).unwrap();
    assert_eq!(
        Some(&signature[..]),
        Bundle::open(&bundle).unwrap().signature()
    );
    unpack(&site.packed(), &dest).unwrap();
    assert!(!beside.exists(), "the signature of another bundle stayed");
    assert_holds(&dest, &site.contents);
}

/// Runs again by itself in a name space of its own, where a small disk can be mounted.
#[test]
fn a_full_disk_is_said_so_and_leaves_nothing_half_written() {
    const INSIDE: &str = "KUBEXM_TEST_SMALL_DISK";
    let name = "a_full_disk_is_said_so_and_leaves_nothing_half_written";
    if let Ok(disk) = std::env::var(INSIDE) {
        return fill(Utf8Path::new(&disk));
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-euc"])
        .arg(r#"mount -t tmpfs -o size=4m none "$0"; shift; exec "$@""#)
        .arg(dir.path())
        .arg("-")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(INSIDE, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
}

fn fill(disk: &Utf8Path) {
    let site = Site::large();
    let path = site.packed();
    let dest = Tree::at(disk.join("tree"));
    let error = unpack(&path, &dest).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Io);
    let shown = error.to_string();
    assert!(
        shown.starts_with("no space left on the disk while writing "),
        "{shown}"
    );
    assert_nothing_bad(&dest, &site.contents);

    let output = disk.join("bundle.tar.zst");
    let error = artifact::pack(&artifact::Packing {
        tree: &site.tree(),
        contents: &site.contents,
        output: &output,
        since: None,
        signer: None,
        jobs: jobs(2),
        progress: &Progress::unseen(),
        cancel: &Cancel::default(),
    })
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no space left on the disk of {output}")
    );
    let left: Vec<String> = files_below(disk)
        .into_iter()
        .filter(|path| path.contains("bundle.tar"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
