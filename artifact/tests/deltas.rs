//! A file that carries only what is new: for whoever has the rest, and for whoever has not.

mod common;

use std::collections::BTreeSet;

use artifact::{Base, Bundle, BundleError, Cancel, Inventory, Taking, Tree, Verdict};
use camino::{Utf8Path, Utf8PathBuf};
use event::Progress;
use proptest::prelude::*;

use crate::common::{
    Site, assert_holds, files_below, jobs, noise, program, unpack, unpacked_below, verify,
};

fn inventory(tree: &Tree) -> Inventory {
    let taking = Taking {
        jobs: jobs(2),
        progress: &Progress::unseen(),
        cancel: &Cancel::default(),
    };
    Inventory::of_tree(tree, "demo", taking).unwrap()
}

/// What the site sends, as the sender reads it.
fn told(site: &Site, tree: &Tree) -> Base {
    let path = site.path("inventory.json");
    std::fs::write(&path, inventory(tree).to_bytes()).unwrap();
    Base::open(&path).unwrap()
}

/// The next version: one file other, one new, one gone, one moved.
fn next() -> Site {
    let mut site = Site::medium();
    site.contents
        .files
        .retain(|file| !["tools/block", "packages/all.txt", "deep"].contains(&file.path.as_str()));
    site.add("tools/block", 0o755, &[b'z'; 600]);
    site.add("tools/new", 0o644, &noise(5, 90_000));
    site.contents
        .files
        .retain(|file| file.path != "config.yaml");
    site.add("packages/moved.txt", 0o644, &program(9, 80_000));
    site.sort();
    site
}

fn carried(path: &Utf8Path) -> Vec<String> {
    let bundle = Bundle::open(path).unwrap();
    bundle
        .carried()
        .map(|it| it.file.path.to_string())
        .collect()
}

#[test]
fn a_delta_carries_what_is_new_and_becomes_the_same_tree() {
    let (before, after) = (Site::medium(), next());
    let full = before.packed();
    let dest = Tree::at(after.path("dest"));
    unpack(&full, &dest).unwrap();
    let by_bundle = after.delta(&Base::open(&full).unwrap());
    assert_eq!(
        carried(&by_bundle),
        ["images/index.json", "tools/block", "tools/new"]
    );
    let bytes = std::fs::read(&by_bundle).unwrap();
    let by_inventory = after.delta(&told(&after, &dest));
    assert_eq!(std::fs::read(&by_inventory).unwrap(), bytes);
    let by_contents = after.delta(&Base::open(&dest.contents()).unwrap());
    assert_eq!(std::fs::read(&by_contents).unwrap(), bytes);

    verify(&by_bundle).unwrap();
    let delta = Bundle::open(&by_bundle).unwrap();
    assert_eq!(
        delta.digest(),
        Bundle::open(&after.packed()).unwrap().digest()
    );
    let done = unpack(&by_bundle, &dest).unwrap();
    assert_eq!((done.written, done.missing), (3, Vec::new()));
    assert_holds(&dest, &after.contents);
    let again = unpack(&by_bundle, &dest).unwrap();
    assert_eq!(again.written, 0);
    assert!(again.pruned.is_empty());
}

#[test]
fn stock_tools_read_a_delta() {
    let (before, after) = (Site::medium(), next());
    let delta = after.delta(&Base::open(&before.packed()).unwrap());
    let listed = std::process::Command::new("tar")
        .args(["--zstd", "-tf", delta.as_str()])
        .output()
        .unwrap();
    assert!(listed.status.success());
    assert_eq!(
        String::from_utf8(listed.stdout).unwrap(),
        "bundle.json\ncarry.json\nimages/index.json\ntools/block\ntools/new\n"
    );
}

fn lacking(result: Result<impl std::fmt::Debug, BundleError>) -> BTreeSet<String> {
    let error = result.unwrap_err();
    assert_eq!(error.verdict(), Verdict::Refused);
    let BundleError::Lacking { lacking, .. } = error else {
        panic!("{error}");
    };
    lacking.iter().map(|lack| lack.file.to_string()).collect()
}

#[test]
fn what_is_not_there_is_named_before_anything_is_touched() {
    let (before, after) = (Site::medium(), next());
    let full = before.packed();
    let delta = after.delta(&Base::open(&full).unwrap());
    // Nothing at all is there.
    let dest = Tree::at(after.path("dest"));
    let all = lacking(unpack(&delta, &dest)).len();
    assert_eq!(all, after.contents.files.len() - 3);
    assert!(files_below(dest.root()).is_empty());
    // Somebody has changed a file, and removed another: it is asked now.
    unpack(&full, &dest).unwrap();
    let kubeadm = "kubernetes/v1.34.2/amd64/kubeadm";
    std::fs::write(dest.path(kubeadm.into()), "none").unwrap();
    std::fs::remove_file(dest.path("packages/all.txt".into())).unwrap();
    let was = files_below(dest.root());
    let missing = lacking(unpack(&delta, &dest));
    assert_eq!(
        missing.iter().map(String::as_str).collect::<Vec<_>>(),
        [kubeadm, "packages/moved.txt"]
    );
    assert_eq!(files_below(dest.root()), was);
    // What the site says of itself mends it.
    let mended = after.delta(&told(&after, &dest));
    unpack(&mended, &dest).unwrap();
    assert_holds(&dest, &after.contents);
}

#[test]
fn the_refusal_says_what_is_missing_and_what_to_do() {
    let (before, after) = (Site::medium(), next());
    let base = Base::open(&before.packed()).unwrap();
    let delta = after.delta(&base);
    let dest = Tree::at(after.path("dest"));
    let error = unpack(&delta, &dest).unwrap_err();
    let text = format!("{error}\n  hint: {}", error.hint().unwrap())
        .replace(delta.as_str(), "DELTA")
        .replace(dest.root().as_str(), "TREE");
    let base = base.digest().to_string();
    insta::assert_snapshot!(text.replace(&base, "<base>"));
}

/// Case by case: deltas in any order are good if all that they need is there.
#[test]
fn deltas_in_another_order_are_taken_where_nothing_is_missing() {
    let (a, b) = (Site::medium(), next());
    let mut c = next();
    c.contents.files.retain(|file| file.path != "tools/new");
    c.add("tools/block", 0o755, &[b'q'; 700]);
    c.contents.files.retain(|file| file.size != 600);
    c.sort();
    let (full, since_a) = (a.packed(), b.delta(&Base::open(&a.packed()).unwrap()));
    // C since B needs nothing that B brought.
    let since_b = c.delta(&Base::open(&since_a).unwrap());
    let dest = Tree::at(c.path("dest"));
    unpack(&full, &dest).unwrap();
    unpack(&since_b, &dest).unwrap();
    assert_holds(&dest, &c.contents);
    // And B after it, which brings its own.
    unpack(&since_a, &dest).unwrap();
    assert_holds(&dest, &b.contents);
}

#[test]
fn files_that_change_places_are_not_lost_by_a_killed_run() {
    let mut before = Site::empty();
    before.add("a", 0o644, b"first");
    before.add("b", 0o644, b"second");
    let mut after = Site::empty();
    after.add("a", 0o644, b"second");
    after.add("b", 0o644, b"first");
    let delta = after.delta(&Base::open(&before.packed()).unwrap());
    assert_eq!(carried(&delta), ["a", "b"]);
}

#[test]
fn what_is_no_base_is_refused() {
    let site = Site::small();
    let refused = |name: &str, text: &str| -> String {
        let path: Utf8PathBuf = site.path(name);
        std::fs::write(&path, text).unwrap();
        let error = Base::open(&path).unwrap_err();
        let hint = error.hint().unwrap_or_default();
        format!("{error}\n  hint: {hint}").replace(path.as_str(), "FILE")
    };
    insta::assert_snapshot!(
        [
            refused("a", "{}"),
            refused("b", r#"{"inventory": 2}"#),
            refused("c", r#"{"inventory": 1, "cluster": "a"}"#),
            refused("d", r#"{"inventory": 1, "cluster": "a\u001b[2J"}"#),
            refused("e", r#"{"format": 7}"#),
            refused("f", "words"),
            refused("g", ""),
        ]
        .join("\n")
    );
}

/// Another version of a program, large enough to be worth a patch.
fn versions() -> (Site, Site) {
    let site = |seed: u64, version: &str| {
        let mut site = Site::small();
        let content = [&noise(3, 200_000)[..], &noise(seed, 300)].concat();
        let path = format!("kubernetes/{version}/amd64/kubelet");
        site.add(&path, 0o755, &content);
        site.add("kubexm/amd64/kubexm", 0o755, &[&content[..], b"!"].concat());
        site.sort();
        site
    };
    (site(1, "v1.36.2"), site(2, "v1.37.0"))
}

#[test]
fn what_has_changed_little_travels_as_a_patch() {
    let (before, after) = versions();
    let full = before.packed();
    let delta = after.delta(&Base::open(&full).unwrap());
    let bundle = Bundle::open(&delta).unwrap();
    let patches: Vec<&str> = bundle
        .carried()
        .filter(|it| it.is_patch)
        .map(|it| it.file.path.as_str())
        .collect();
    assert_eq!(
        patches,
        ["kubernetes/v1.37.0/amd64/kubelet", "kubexm/amd64/kubexm"]
    );
    assert!(bundle.size() < 10_000, "{}", bundle.size());
    verify(&delta).unwrap();
    let dest = Tree::at(after.path("dest"));
    unpack(&full, &dest).unwrap();
    unpack(&delta, &dest).unwrap();
    assert_holds(&dest, &after.contents);
    let beside: Vec<String> = files_below(&after.path(""))
        .into_iter()
        .filter(|path| path.contains(".part"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn a_patch_of_what_is_not_there_is_refused() {
    let (before, after) = versions();
    let full = before.packed();
    let delta = after.delta(&Base::open(&full).unwrap());
    let dest = Tree::at(after.path("dest"));
    unpack(&full, &dest).unwrap();
    std::fs::remove_file(dest.path("kubernetes/v1.36.2/amd64/kubelet".into())).unwrap();
    let missing = lacking(unpack(&delta, &dest));
    assert_eq!(
        missing.iter().map(String::as_str).collect::<Vec<_>>(),
        ["kubernetes/v1.37.0/amd64/kubelet"]
    );
    // By the site's own word it travels whole.
    let mended = after.delta(&told(&after, &dest));
    unpack(&mended, &dest).unwrap();
    assert_holds(&dest, &after.contents);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_tree_becomes_any_other_by_its_delta(
        old in proptest::collection::btree_map("[ab]/[a-d]", 0_u8..5, 0..6),
        new in proptest::collection::btree_map("[ab]/[a-d]", 0_u8..5, 0..6),
    ) {
        let site = |files: &std::collections::BTreeMap<String, u8>| {
            let mut site = Site::empty();
            for (path, content) in files {
                site.add(path, 0o644, &[*content; 9]);
            }
            site.sort();
            site
        };
        let (old, new) = (site(&old), site(&new));
        let dest = Tree::at(new.path("dest"));
        let full = old.packed();
        unpack(&full, &dest).unwrap();
        let delta = new.delta(&Base::open(&full).unwrap());
        verify(&delta).unwrap();
        unpack(&delta, &dest).unwrap();
        assert_holds(&dest, &new.contents);
    }

    #[test]
    fn a_damaged_delta_is_refused_and_no_bad_file_is_left(at in 0_usize..1 << 20, bit in 0_u8..8) {
        let (before, after) = (Site::small(), next());
        let full = before.packed();
        let delta = after.delta(&Base::open(&full).unwrap());
        let mut bytes = std::fs::read(&delta).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        std::fs::write(&delta, bytes).unwrap();
        let dest = Tree::at(after.path("dest"));
        unpack(&full, &dest).unwrap();
        let error = unpack(&delta, &dest).unwrap_err();
        prop_assert_eq!(error.verdict(), Verdict::Refused);
        for path in unpacked_below(&dest) {
            if path.ends_with("bundle.json") || path.starts_with('.') {
                continue;
            }
            let content = artifact::Sha256::of(&std::fs::read(dest.path(path.as_str().into())).unwrap());
            let listed = [&before, &after].iter().any(|site| {
                site.contents.file(path.as_str().into()).is_some_and(|file| file.sha256 == content)
            });
            prop_assert!(listed, "{}", path);
        }
    }
}
