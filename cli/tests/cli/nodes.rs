//! Hosts that come and go, as far as no host is reached.

use std::fs;
use std::path::Path;

use super::delete::site;
use super::told;

fn applied(dir: &Path) {
    let applied = dir.join(".kubexm/small/applied");
    fs::create_dir_all(&applied).unwrap();
    fs::copy(dir.join("site.yaml"), applied.join("config.yaml")).unwrap();
}

#[test]
fn what_cannot_go_is_told_before_any_host_is_reached() {
    let site = site();
    let delete = |args: &[&str]| {
        let verb = ["delete", "node", "-f", "site.yaml"];
        told(site.path(), &[&verb, args].concat())
    };
    insta::assert_snapshot!(delete(&["node1"]), @r"
    exit 2
    -- stderr
    error: this cannot go from the cluster:
      node1 is the last master: add another first (kubexm add nodes), or take the whole cluster off its hosts: kubexm delete cluster
      node1 is the last member of etcd: add another first (kubexm add nodes)
    ");
    insta::assert_snapshot!(delete(&["node2"]), @r"
    exit 2
    -- stderr
    error: this cannot go from the cluster:
      node2 is no host of the cluster, which has node1
    ");
    assert!(!site.path().join(".kubexm/small/state").exists());
}

#[test]
fn without_knowing_what_was_applied_nothing_is_added_or_restarted() {
    let site = site();
    insta::assert_snapshot!(told(site.path(), &["add", "nodes", "-f", "site.yaml"]), @r"
    exit 2
    -- stderr
    error: nobody knows which config small was made of: there is no ./.kubexm/small/applied/config.yaml
    hint: run kubexm install to its end; kubexm adopt brings the note of a lost work directory
    ");
    let restart = told(site.path(), &["restart", "etcd", "-f", "site.yaml"]);
    assert!(restart.contains("nobody knows which config"), "{restart}");
}

#[test]
fn where_nothing_is_new_nothing_is_added() {
    let site = site();
    applied(site.path());
    insta::assert_snapshot!(told(site.path(), &["add", "nodes", "-f", "site.yaml"]), @r"
    exit 0
    -- stderr
    nothing to add: the cluster has every host of site.yaml in all its roles
    ");
    let text = fs::read_to_string(site.path().join("site.yaml")).unwrap();
    let other = format!("{text}  etcd: {{heartbeatInterval: 150}}\n");
    fs::write(site.path().join("site.yaml"), other).unwrap();
    insta::assert_snapshot!(told(site.path(), &["add", "nodes", "-f", "site.yaml"]), @r"
    exit 2
    -- stderr
    error: the config is another than the one applied last, and this is not what was asked for:
      spec.etcd.heartbeatInterval
    hint: kubexm install with the cluster's bundle does all of it; or give these keys back, and run again
    ");
}
