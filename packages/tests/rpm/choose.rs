//! The choice of packages: dnf is asked the same of the same repository and the same system.
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use packages::rpm::resolve;

use crate::upstream::{BASE, Upstream, label, run, tools};

const UPSTREAM: &str = include_str!("upstream.txt");

/// Beside every package by itself.
const TOGETHER: [&str; 30] = [
    "chrony ntp",
    "postfix sendmail",
    "mta-user postfix",
    "mta-user sendmail",
    "nginx nginx-mod-stream",
    "nginx httpd",
    "httpd webapp nginx",
    "httpd webproxy",
    "httpd lighttpd webproxy",
    "lighttpd rich-conflict",
    "dep rich-conflict",
    "lighttpd rich-conflict-and",
    "lighttpd exim rich-conflict-and",
    "firewalld python3-firewall keepalived",
    "firewalld keepalived",
    "firewalld iptables-legacy",
    "keepalived haproxy chrony conntrack-tools socat ethtool ipset nfs-utils container-selinux",
    "docker docker-ce",
    "container-selinux udica",
    "container-selinux k3s-selinux",
    "rpcbind man-pages",
    "dep range-user",
    "range-user and-user",
    "iptables",
    "webserver",
    "/usr/sbin/conntrack",
    "/usr/share/zoneinfo-posix/UTC",
    "system-logos-httpd",
    "ipset-service iptables-legacy",
    "no-such-package",
];

/// Where the answers differ, and why that is meant.
fn differences() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([])
}

#[test]
fn kubexm_chooses_what_dnf_chooses() {
    if !tools(&["rpmbuild", "createrepo_c", "dnf"]) {
        return;
    }
    let upstream = Upstream::build(UPSTREAM);
    let root = upstream.scratch.path().join("root");
    run(Command::new("rpm")
        .args([
            "--root",
            root.to_str().unwrap(),
            "--install",
            "--justdb",
            "--nodeps",
            "--ignorearch",
        ])
        .args(base_files(&upstream)));

    let requests: Vec<&str> = upstream
        .names
        .iter()
        .map(String::as_str)
        .chain(TOGETHER)
        .collect();
    let theirs = dnf(&upstream, &root, &requests);
    let differences = differences();
    let mut wrong = Vec::new();
    for (request, theirs) in requests.iter().zip(&theirs) {
        let ours = ours(&upstream, request);
        let alike = ours == *theirs || (ours.starts_with('!') && theirs.starts_with('!'));
        if alike == differences.contains_key(request) {
            wrong.push(format!("{request}\n  kubexm: {ours}\n  dnf:    {theirs}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        requests.len(),
        wrong.join("\n")
    );
}

fn base_files(upstream: &Upstream) -> Vec<std::path::PathBuf> {
    let (universe, _) = upstream.universe(&BASE);
    let base = universe.base(&BASE.map(str::to_owned)).unwrap();
    let packages = upstream.packages();
    base.iter()
        .map(|id| upstream.root.join(&packages[id.index()].location))
        .collect()
}

fn ours(upstream: &Upstream, request: &str) -> String {
    let (universe, wishes) = upstream.universe(&request.split(' ').collect::<Vec<_>>());
    let base = universe.base(&BASE.map(str::to_owned)).unwrap();
    match resolve(&universe, &base, &wishes) {
        Err(error) => format!("! {error}"),
        Ok(answer) => {
            let mut labels: Vec<String> = answer
                .packages
                .iter()
                .map(|chosen| label(chosen))
                .collect();
            labels.sort();
            labels.join(" ")
        }
    }
}

fn dnf(upstream: &Upstream, root: &std::path::Path, requests: &[&str]) -> Vec<String> {
    let mut dnf = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpm/dnf.py"))
        .args([&upstream.root, root, upstream.scratch.path()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = requests
        .iter()
        .map(|request| format!("{request}\n"))
        .collect();
    dnf.stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = dnf.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(answers.len(), requests.len());
    answers
}
