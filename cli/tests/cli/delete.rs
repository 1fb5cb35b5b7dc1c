//! Deletions that end before any host is reached, or at one that nobody listens on.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{kubexm, told};

/// Nobody listens on port 1.
const CONFIG: &str = "\
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: small}
spec:
  hosts:
    - {name: node1, address: 127.0.0.1, port: 1, password: hunter2}
  roleGroups: {etcd: [node1], master: [node1], worker: [node1]}
";

/// All that the tree must hold: what was installed.
const MANIFEST: &str = r#"{"format": 1, "cluster": "small", "kubexm": "0.1.0", "arches": ["amd64"], "releases": [], "files": [], "images": []}"#;

pub fn site() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("site.yaml"), CONFIG).unwrap();
    fs::create_dir_all(dir.path().join(".kubexm/small")).unwrap();
    fs::write(dir.path().join(".kubexm/small/bundle.json"), MANIFEST).unwrap();
    dir
}

const DELETE: [&str; 4] = ["delete", "cluster", "-f", "site.yaml"];

fn delete(dir: &Path, args: &[&str]) -> String {
    told(dir, &[&DELETE, args].concat())
}

#[test]
fn without_a_terminal_nothing_is_deleted_unless_it_is_said() {
    let site = site();
    insta::assert_snapshot!(delete(site.path(), &[]), @r"
    exit 2
    -- stderr
    error: nobody is there to confirm that small shall be deleted
    hint: say --yes; see before what --dry-run shows
    ");
    assert!(!site.path().join(".kubexm/small/state").exists());
}

#[test]
fn without_knowing_what_was_installed_nothing_can_be_deleted() {
    let site = site();
    fs::remove_file(site.path().join(".kubexm/small/bundle.json")).unwrap();
    insta::assert_snapshot!(delete(site.path(), &["--yes"]), @r"
    exit 2
    -- stderr
    error: nothing has been unpacked for small: there is no ./.kubexm/small/bundle.json
    hint: give the --work-dir that the cluster was installed from, or copy its .kubexm/<cluster>/bundle.json there: it says what was installed; of the other files none is needed
    ");
}

#[test]
fn a_host_that_is_down_is_named_and_what_waits_for_it_is_left_alone() {
    let site = site();
    let certs = site.path().join(".kubexm/small/certs/etcd");
    fs::create_dir_all(&certs).unwrap();
    fs::write(certs.join("ca.key"), "secret").unwrap();
    let args = [&DELETE[..], &["--yes", "--purge", "--output", "json"]].concat();
    let output = kubexm(site.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let end = events.last().unwrap();
    assert_eq!(
        (
            &end["event"],
            &end["outcome"],
            &end["failed"],
            &end["changed"]
        ),
        (
            &"run-finished".into(),
            &"failed".into(),
            &1.into(),
            &0.into()
        )
    );
    assert!(certs.join("ca.key").exists());
    let state = fs::read_dir(site.path().join(".kubexm/small/state")).unwrap();
    let reports = state.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("report-")
    });
    assert_eq!(reports.count(), 2, "as data and as a page");
}

#[test]
fn a_dry_run_shows_the_whole_way_back() {
    let site = site();
    let text = delete(site.path(), &["--dry-run"]);
    assert!(text.starts_with("exit 0"), "{text}");
    for line in [
        "stop etcd.service: cannot tell",
        "take back what is left, remove /etc/kubexm/cluster",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("Nothing was changed."), "{text}");
}

#[test]
fn what_cannot_be_read_in_the_tree_is_told() {
    let site = site();
    let get = || told(site.path(), &["get", "cluster", "-f", "site.yaml"]);
    let state = site.path().join(".kubexm/small/state");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("report-2.json"), "{").unwrap();
    fs::write(
        state.join("report-1.json"),
        r#"{"command": "install", "outcome": "done"}"#,
    )
    .unwrap();
    let text = get();
    assert!(text.contains("last run:   install, done"), "{text}");
    assert!(
        text.contains("warning: cannot read the report ./.kubexm/small/state/report-2.json"),
        "{text}"
    );
    fs::write(site.path().join(".kubexm/small/bundle.json"), "").unwrap();
    insta::assert_snapshot!(get());
}
