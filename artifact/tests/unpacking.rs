//! What becomes of a tree: resumed, upgraded, interrupted, and in the way.

mod common;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::Arc;

use artifact::{Bundle, Cancel, Tree, Verdict};
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
    let all = site.manifest.files.len();
    let again = unpack(&path, &dest).unwrap();
    assert_eq!((again.written, again.kept), (0, all));

    let tree = |path: &str| dest.path(path.into());
    std::fs::write(tree("tools/block"), [b'y'; 512]).unwrap();
    std::fs::write(tree("config.yaml"), "short").unwrap();
    std::fs::remove_file(tree("images/index.json")).unwrap();
    std::fs::set_permissions(tree("empty"), PermissionsExt::from_mode(0o777)).unwrap();
    let mended = unpack(&path, &dest).unwrap();
    assert_eq!((mended.written, mended.kept), (3, all - 3));
    assert_holds(&dest, &site.manifest);
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
    assert_holds(&dest, &site.manifest);
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
    let total = site.manifest.content_size();
    for part in 1..4 {
        let (progress, cancel) = interrupt(total * part / 4);
        let bundle = Bundle::open(&path).unwrap();
        let error = bundle
            .unpack(&dest, jobs(2), &progress, &cancel)
            .unwrap_err();
        assert_eq!(error.verdict(), Verdict::Cancelled);
        assert_nothing_bad(&dest, &site.manifest);
    }
    let done = unpack(&path, &dest).unwrap();
    assert!(done.kept > 0, "{done:?}");
    assert_holds(&dest, &site.manifest);

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
    assert_holds(&dest, &site.manifest);
}

#[test]
fn a_tree_says_that_it_is_complete_only_while_it_is() {
    let mut site = Site::small();
    let old = site.packed();
    let dest = Tree::at(site.path("dest"));
    unpack(&old, &dest).unwrap();
    let old = site.manifest.clone();

    site.manifest
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
    assert!(!dest.manifest().exists());

    let done = unpack(&path, &dest).unwrap();
    assert_eq!(done.pruned, ["tools/block"]);
    assert!(!dest.path("tools/block".into()).exists());
    assert_holds(&dest, &site.manifest);
    assert_ne!(old, site.manifest);
    assert_eq!(unpack(&path, &dest).unwrap().pruned, Vec::<&str>::new());
}

#[test]
fn pruning_removes_the_folders_that_are_empty_then() {
    let mut site = Site::small();
    let dest = Tree::at(site.path("dest"));
    unpack(&site.packed(), &dest).unwrap();
    site.manifest
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
    assert_holds(&dest, &site.manifest);

    // A folder that is a link out of the tree is an error.
    let dest = Tree::at(site.path("trapped"));
    std::fs::create_dir(dest.root()).unwrap();
    symlink(&outside, dest.path("tools".into())).unwrap();
    let error = unpack(&path, &dest).unwrap_err();
    assert_eq!(error.verdict(), Verdict::Io);
    insta::assert_snapshot!(error.to_string().replace(dest.root().as_str(), "TREE"), @"cannot write TREE/tools/block: a path led outside of the filesystem");
    assert_eq!(std::fs::read(outside.join("block")).unwrap(), b"precious");
    assert_eq!(files_below(&outside), ["block"]);
}

#[test]
fn one_member_can_be_read_by_itself() {
    let site = Site::large();
    let bundle = Bundle::open(&site.packed()).unwrap();
    let cancel = Cancel::default();
    let read = |path: &str| bundle.read(path.into(), &cancel).unwrap();
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
    assert_holds(&dest, &site.manifest);
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
    assert_nothing_bad(&dest, &site.manifest);

    let output = disk.join("bundle.tar.zst");
    let error = artifact::pack(&artifact::Packing {
        tree: &site.tree(),
        manifest: &site.manifest,
        output: &output,
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
        .filter(|path| path.contains("bundle"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
