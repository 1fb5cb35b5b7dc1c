//! The repository that travels along: it says what `createrepo_c` says, and dnf installs from it.
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use packages::answer::Answer;
use packages::rpm::header::PackageFile;
use packages::rpm::primary::{self, Package};
use packages::rpm::repomd::{Repomd, Signed};
use packages::rpm::{filelists, repository, resolve};

use crate::choose::{UPSTREAM, install_base};
use crate::upstream::{ARCH, BASE, Upstream, label, root, run, tools};

fn read(upstream: &Upstream, location: &str) -> PackageFile {
    PackageFile::read(location, File::open(upstream.root.join(location)).unwrap()).unwrap()
}

/// What counts of a package, however its relations are ordered.
fn said(package: &Package) -> String {
    let sorted = |items: Vec<String>| BTreeSet::from_iter(items).into_iter().collect::<Vec<_>>();
    let texts = |items: &[packages::rpm::relation::Relation]| {
        sorted(items.iter().map(ToString::to_string).collect())
    };
    let names = |items: &[packages::rpm::relation::Capability]| {
        sorted(items.iter().map(ToString::to_string).collect())
    };
    format!(
        "{} {} {} {} {} {}\n provides {:?}\n requires {:?}\n conflicts {:?}\n obsoletes {:?}\n files {:?}",
        package.name,
        package.evr,
        package.arch,
        package.location,
        package.size,
        package.sha256,
        names(&package.provides),
        // createrepo_c leaves out what a package gives itself.
        sorted(
            package
                .requires
                .iter()
                .map(ToString::to_string)
                .filter(|text| package.provides.iter().all(|own| own.name != *text))
                .collect()
        ),
        texts(&package.conflicts),
        names(&package.obsoletes),
        sorted(package.files.clone()),
    )
}

#[test]
fn the_index_says_what_createrepo_says() {
    if !tools(&["rpmbuild", "createrepo_c"]) {
        return;
    }
    let upstream = Upstream::build(UPSTREAM);
    let theirs = upstream.packages();
    let mut files: Vec<PackageFile> = theirs
        .iter()
        .map(|package| read(&upstream, &package.location))
        .collect();
    let index = repository::index(&files).unwrap();
    files.reverse();
    assert!(
        index == repository::index(&files).unwrap(),
        "the order of packages changes the index"
    );

    let file = |path: &str| &index.iter().find(|file| file.path == path).unwrap().bytes;
    let now = jiff::Timestamp::now();
    let repomd = Repomd::read(file("repodata/repomd.xml"), None, Signed::Packages, now).unwrap();
    let part = repomd.primary().unwrap();
    let ours = primary::read(part, file(&part.location), ARCH).unwrap();
    let mut ours: Vec<String> = ours.iter().map(said).collect();
    let mut theirs: Vec<String> = theirs.iter().map(said).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);

    let all = BTreeSet::from(
        ["/usr/share/zoneinfo/UTC", "/etc/pki/tls", "/usr/share"].map(str::to_owned),
    );
    let part = repomd.filelists().unwrap();
    let ours = filelists::read(part, file(&part.location), &all).unwrap();
    let repomd = upstream.repomd();
    let part = repomd.filelists().unwrap();
    assert_eq!(
        ours,
        filelists::read(part, &upstream.stored(part), &all).unwrap()
    );
    assert_eq!(ours.len(), 3);
}

#[test]
fn dnf_installs_what_is_carried_and_nothing_else() {
    if !tools(&["rpmbuild", "createrepo_c", "dnf"]) || !root() {
        return;
    }
    let upstream = Upstream::build(UPSTREAM);
    for (index, request) in [
        "keepalived haproxy chrony conntrack-tools socat ethtool ipset nfs-utils container-selinux iptables",
        "nginx nginx-mod-stream webapp",
        "firewalld python3-firewall keepalived",
        "docker mta-user mta-both range-user and-user tilde-user caret-user",
        "ntp or-else man-pages",
        "frr cycle-one asks-itself versioned-user prefers-newest ipset-service",
    ]
    .into_iter()
    .enumerate()
    {
        let (universe, wishes) = upstream.universe(&request.split(' ').collect::<Vec<_>>());
        let base = universe.base(&BASE.map(str::to_owned)).unwrap();
        let answer = resolve(&universe, &base, &wishes).unwrap();
        let carried = upstream.scratch.path().join(format!("carried-{index}"));
        carry(&upstream, &answer, &carried);

        let system = upstream.scratch.path().join(format!("system-{index}"));
        let mut expected = install_base(&upstream, &system);
        expected.extend(answer.packages.iter().map(label));
        let names: Vec<&str> = answer.wishes.iter().map(String::as_str).collect();
        dnf(&carried, &system, &[&["install"], names.as_slice()].concat());
        assert_eq!(installed(&system), expected, "{request}");
        dnf(&carried, &system, &["check", "--dependencies"]);
    }
}

/// As a bundle does: the files beside each other, and the index that is made of them.
fn carry(upstream: &Upstream, answer: &Answer, into: &Path) {
    fs::create_dir_all(into.join("repodata")).unwrap();
    let mut files = Vec::new();
    for package in &answer.packages {
        let name = package.path.rsplit('/').next().unwrap();
        fs::copy(upstream.root.join(&package.path), into.join(name)).unwrap();
        let file = PackageFile::read(name, File::open(into.join(name)).unwrap()).unwrap();
        assert_eq!(file.checksum().sha256, package.sha256);
        assert_eq!(file.checksum().size, package.size);
        files.push(file);
    }
    for file in repository::index(&files).unwrap() {
        fs::write(into.join(file.path), &file.bytes).unwrap();
    }
}

const SONAMES: &str = "\
bash 5.1-1 noarch
  Requires: libssl.so.3()(64bit)
openssl-libs 3.0-1 noarch
  Provides: libssl.so.3()(64bit)
openssl-libs 3.2-1 noarch
  Provides: libssl.so.3()(64bit)
  Provides: libssl.so.3(OPENSSL_3.2.0)(64bit)
openssl-libs 3.5-1 noarch
  Provides: libssl.so.3()(64bit)
  Provides: libssl.so.3(OPENSSL_3.2.0)(64bit)
socat 1.8-1 noarch
  Requires: libssl.so.3(OPENSSL_3.2.0)(64bit)
curl 8-1 noarch
  Requires: libssl.so.3()(64bit)
";

#[test]
fn a_host_whose_library_is_too_old_is_told_before_anything_is_installed() {
    if !tools(&["rpmbuild", "createrepo_c", "dnf"]) || !root() {
        return;
    }
    let upstream = Upstream::build(SONAMES);
    let asked = |request: &str| {
        let (universe, wishes) = upstream.universe(&[request]);
        let base = universe.base(&["bash".to_owned()]).unwrap();
        resolve(&universe, &base, &wishes).unwrap()
    };
    let at_least = |answer: &Answer| answer.base[0].at_least.clone();
    assert_eq!(at_least(&asked("socat")).as_deref(), Some("3.2-1"));
    assert_eq!(at_least(&asked("curl")), None);

    // A repository that has no build before it cannot tell since when the symbol is there: dnf does, on the host.
    let old = upstream.root.join("noarch/openssl-libs-3.0-1.noarch.rpm");
    let kept = upstream.scratch.path().join("openssl-libs.rpm");
    fs::rename(old, &kept).unwrap();
    upstream.index(&[]);
    let answer = asked("socat");
    assert_eq!(at_least(&answer), None);
    let carried = upstream.scratch.path().join("carried");
    carry(&upstream, &answer, &carried);
    let system = upstream.scratch.path().join("system");
    run(Command::new("rpm")
        .args(["--root", system.to_str().unwrap(), "--install", "--justdb"])
        .args(["--nodeps", "--ignorearch"])
        .arg(&kept)
        .arg(upstream.root.join("noarch/bash-5.1-1.noarch.rpm")));
    let before = installed(&system);
    let output = dnf_command(&carried, &system, &["install", "socat"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(
            "nothing provides libssl.so.3(OPENSSL_3.2.0)(64bit) needed by socat-1.8-1.noarch"
        ),
        "{said}"
    );
    assert_eq!(installed(&system), before);
}

fn dnf(repository: &Path, system: &Path, arguments: &[&str]) -> String {
    run(&mut dnf_command(repository, system, arguments))
}

fn dnf_command(repository: &Path, system: &Path, arguments: &[&str]) -> Command {
    let cache = system.join("var/cache/dnf");
    let mut dnf = Command::new("dnf");
    dnf.args([
        "--assumeyes",
        "--noplugins",
        "--nogpgcheck",
        "--releasever=9",
        "--disablerepo=*",
    ])
    .args([
        "--setopt=install_weak_deps=False",
        "--setopt=reposdir=/dev/null",
    ])
    .arg(format!("--setopt=cachedir={}", cache.display()))
    .arg(format!("--setopt=logdir={}", cache.display()))
    .arg(format!("--installroot={}", system.display()))
    .arg(format!(
        "--repofrompath=kubexm,file://{}",
        repository.display()
    ))
    .args(arguments);
    dnf
}

fn installed(system: &Path) -> BTreeSet<String> {
    let listed = run(Command::new("rpm")
        .args([
            "--root",
            system.to_str().unwrap(),
            "--query",
            "--all",
            "--queryformat",
        ])
        .arg("%{NAME}-%{EVR}.%{ARCH}\n"));
    listed.lines().map(str::to_owned).collect()
}
