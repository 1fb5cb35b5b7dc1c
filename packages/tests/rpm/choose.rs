//! The choice of packages: dnf is asked the same of the same repository and the same system.
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use packages::rpm::{Universe, resolve};

use crate::upstream::{BASE, Upstream, label, root, run, tools};

pub const UPSTREAM: &str = include_str!("upstream.txt");

/// Beside every package by itself.
const TOGETHER: [&str; 37] = [
    "chrony ntp",
    "postfix sendmail",
    "mta-user postfix",
    "mta-user sendmail",
    "nginx nginx-mod-stream",
    "nginx httpd",
    "httpd webapp nginx",
    "httpd webproxy",
    "httpd lighttpd webproxy",
    "lighttpd webproxy",
    "lighttpd webproxy-else",
    "exim webproxy-else",
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
    "or-else man-pages",
    "ntp or-else man-pages",
    "caret or-else",
    "base-breaker socat",
];

#[test]
fn kubexm_chooses_what_dnf_chooses() {
    if !tools(&["rpmbuild", "createrepo_c", "dnf"]) || !root() {
        return;
    }
    let upstream = Upstream::build(UPSTREAM);
    let system = upstream.scratch.path().join("root");
    install_base(&upstream, &system);

    let requests: Vec<&str> = upstream
        .names
        .iter()
        .map(String::as_str)
        .chain(TOGETHER)
        .collect();
    let theirs = dnf(&upstream, &system, &requests);
    let mut wrong = Vec::new();
    for (request, theirs) in requests.iter().zip(&theirs) {
        let ours = ours(&upstream, request);
        let alike = ours == *theirs || (ours.starts_with('!') && theirs.starts_with('!'));
        if !alike {
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

/// A system that has its base, as far as rpm and dnf look: its packages, by their labels.
pub fn install_base(upstream: &Upstream, system: &Path) -> BTreeSet<String> {
    let (universe, _) = upstream.universe(&BASE);
    let base = universe.base(&BASE.map(str::to_owned)).unwrap();
    let packages = upstream.packages();
    let base = base.iter().map(|id| &packages[id.index()]);
    run(Command::new("rpm")
        .args(["--root", system.to_str().unwrap(), "--install", "--justdb"])
        .args(["--nodeps", "--ignorearch"])
        .args(
            base.clone()
                .map(|package| upstream.root.join(&package.location)),
        ));
    base.map(|package| format!("{}-{}.{}", package.name, package.evr, package.arch))
        .collect()
}

#[test]
fn what_cannot_be_had_names_who_wanted_it() {
    if !tools(&["rpmbuild", "createrepo_c"]) {
        return;
    }
    let upstream = Upstream::build(
        "bash 5.1-1 noarch\n\
         chrony 4.3-1 noarch\n  Conflicts: ntp\nntp 4.2-1 noarch\n\
         broken 1-1 noarch\n  Requires: libmissing.so.1()(64bit)\n\
         needs-broken 1-1 noarch\n  Requires: broken >= 1\n\
         wants-future 1-1 noarch\n  Requires: (bash >= 6 if chrony)\n  Requires: chrony\n",
    );
    let refused = |request: &str| {
        let names: Vec<&str> = request.split(' ').collect();
        let universe = Universe::new([upstream.packages()]);
        let wishes: Vec<_> = names
            .iter()
            .map(|name| universe.wish(name, "master1"))
            .collect();
        let base = universe.base(&["bash".to_owned()]).unwrap();
        resolve(&universe, &base, &wishes).unwrap_err().to_string()
    };
    insta::assert_snapshot!(
        ["chrony ntp bash", "needs-broken", "wants-future", "no-such-package"].map(refused).join("\n"),
        @r"
    chrony (wanted by master1) and ntp (wanted by master1) cannot be installed together:
      chrony-4.3-1.noarch conflicts with ntp, which is ntp-4.2-1.noarch
      chrony-4.3-1.noarch is wanted by master1
      ntp-4.2-1.noarch is wanted by master1
    needs-broken (wanted by master1) cannot be installed:
      broken-1-1.noarch requires libmissing.so.1()(64bit), which no package satisfies
      broken-1-1.noarch is the only one left for broken >= 1, which needs-broken-1-1.noarch requires
      needs-broken-1-1.noarch is wanted by master1
    wants-future (wanted by master1) cannot be installed:
      wants-future-1-1.noarch requires (bash >= 6 if chrony), which no package satisfies; there is bash-5.1-1.noarch
      chrony-4.3-1.noarch is the only one left for chrony, which wants-future-1-1.noarch requires
      wants-future-1-1.noarch is wanted by master1
    no-such-package (wanted by master1) cannot be installed:
      no package satisfies no-such-package
    "
    );
}

fn ours(upstream: &Upstream, request: &str) -> String {
    let (universe, wishes) = upstream.universe(&request.split(' ').collect::<Vec<_>>());
    let base = universe.base(&BASE.map(str::to_owned)).unwrap();
    match resolve(&universe, &base, &wishes) {
        Err(error) => format!("! {error}"),
        Ok(answer) => {
            let mut labels: Vec<String> = answer.packages.iter().map(label).collect();
            labels.sort();
            labels.join(" ")
        }
    }
}

fn dnf(upstream: &Upstream, root: &Path, requests: &[&str]) -> Vec<String> {
    let mut dnf = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rpm/ask_dnf.py"))
        .args([&upstream.root, root, upstream.scratch.path()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = requests.join("\n") + "\n";
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
