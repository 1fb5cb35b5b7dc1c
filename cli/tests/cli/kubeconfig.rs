//! Where a kubeconfig may go, and where not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{delete, told};

const TEXT: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: small
  cluster:
    server: https://lb.kubexm.local:6443
    certificate-authority-data: QQ==
users: []
";

/// A site whose cluster is installed, as far as its tree tells.
fn site() -> tempfile::TempDir {
    let site = delete::site();
    let dir = site.path().join(".kubexm/small/certs/kubernetes");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("admin.conf"), TEXT).unwrap();
    site
}

fn kubeconfig(dir: &Path, out: &str) -> String {
    told(dir, &["kubeconfig", "-f", "site.yaml", "-o", out])
}

#[test]
fn it_is_written_and_written_again() {
    let site = site();
    insta::assert_snapshot!(kubeconfig(site.path(), "admin.conf"));
    let first = fs::read_to_string(site.path().join("admin.conf")).unwrap();
    let moved = first.replace("127.0.0.1", "192.0.2.9");
    fs::write(site.path().join("admin.conf"), moved).unwrap();
    assert!(kubeconfig(site.path(), "admin.conf").starts_with("exit 0"));
    let second = fs::read_to_string(site.path().join("admin.conf")).unwrap();
    assert_eq!(first, second);
}

#[test]
fn what_holds_anything_else_stays_as_it_is() {
    let site = site();
    let dir = site.path();
    let other = TEXT.replace("QQ==", "Qg==");
    fs::write(dir.join("other.conf"), &other).unwrap();
    symlink("other.conf", dir.join("link.conf")).unwrap();
    symlink("nowhere", dir.join("dangling.conf")).unwrap();
    fs::create_dir(dir.join("dir.conf")).unwrap();
    let refused = [
        "other.conf",
        "link.conf",
        "dangling.conf",
        "dir.conf",
        "no/dir/admin.conf",
    ]
    .map(|out| kubeconfig(dir, out));
    insta::assert_snapshot!(refused.concat());
    assert_eq!(fs::read_to_string(dir.join("other.conf")).unwrap(), other);
    assert!(dir.join("link.conf").is_symlink() && dir.join("dangling.conf").is_symlink());
    assert!(!dir.join("nowhere").exists() && !dir.join("no").exists());
}
