//! A work directory that was lost, where nobody can be asked for it.

use std::fs;

use super::{delete, told};

#[test]
fn where_no_host_answers_nothing_is_made() {
    let site = delete::site();
    fs::remove_dir_all(site.path().join(".kubexm")).unwrap();
    let said = told(site.path(), &["adopt", "-f", "site.yaml"]);
    assert!(said.starts_with("exit 1"), "{said}");
    for part in [
        "look at the authorities of its cluster",
        "this work directory cannot be made from these hosts; nothing was written",
        "no host that can be asked has /etc/kubernetes/pki/ca.crt",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!site.path().join(".kubexm/small/certs").exists());
}

#[test]
fn a_host_that_does_not_answer_is_told_beside_what_the_config_says_of_it() {
    let site = delete::site();
    fs::remove_dir_all(site.path().join(".kubexm")).unwrap();
    let said = told(site.path(), &["get", "hosts", "-f", "site.yaml"]);
    assert!(said.starts_with("exit 1"), "{said}");
    assert!(said.contains("node1  etcd,master,worker  amd64"), "{said}");
    assert!(said.contains("warning: node1: "), "{said}");
    assert!(
        !site.path().join(".kubexm").exists(),
        "to look leaves nothing"
    );
}

#[test]
fn what_was_installed_is_known_from_what_was_applied_as_well() {
    let site = delete::site();
    let tree = site.path().join(".kubexm/small");
    fs::create_dir(tree.join("applied")).unwrap();
    fs::rename(tree.join("bundle.json"), tree.join("applied/bundle.json")).unwrap();
    let said = told(site.path(), &["get", "cluster", "-f", "site.yaml"]);
    assert!(said.starts_with("exit 0"), "{said}");
}
