//! Packages of systems with RPM, from a stand-in for their repositories.

use artifact::PackageFormat;

use super::*;
use crate::testing::{RedHat, Signer};

const SPEC: &str = r#"{
    "hosts": [{"name": "node1", "address": "192.0.2.1", "os": "rocky-9"}],
    "roleGroups": {"etcd": ["node1"], "master": ["node1"], "worker": ["node1"]},
    "kubernetes": {"version": "v1.34.2"},
    "network": {"plugin": "none"},
    "tools": [],
    "system": {"rpms": ["nfs-utils=1.0-1"]}
}"#;

/// Signs its metadata.
const ROCKY: &str = "rocky-9";
/// Signs its packages alone.
const OPENEULER: &str = "openeuler-24.03";

fn redhat() -> RedHat {
    RedHat::new()
        .with("nfs-utils", "Requires: /usr/share/gssproxy/nfs.conf")
        .with("gssproxy", "File: /usr/share/gssproxy/nfs.conf")
}

async fn site(redhat: &RedHat, os: &str) -> Site {
    let site = Site::new(&SPEC.replace(ROCKY, os)).await;
    redhat.publish(&site.upstream, os);
    site
}

async fn bundle(
    site: &Site,
    keyrings: Vec<String>,
    work: &str,
    lock_mode: LockMode,
) -> Result<Report, BundleError> {
    let request = Request {
        lock_mode,
        keyrings,
        ..site.request(work)
    };
    run(request, &Events::nowhere()).await
}

async fn refused(site: &Site, keyrings: Vec<String>) -> (String, bool) {
    let error = bundle(site, keyrings, "work", LockMode::Pin)
        .await
        .unwrap_err();
    assert!(
        !site.path("work/example.tar.zst").exists(),
        "nothing under a final name"
    );
    assert!(
        !site.path("kubexm.lock").exists(),
        "no run is held to what was refused"
    );
    (site.said(&error), error.is_unverified())
}

fn repodata(site: &Site, work: &str, os: &str, file: &str) -> Vec<u8> {
    let directory = format!("{work}/.kubexm/example/packages/{os}/amd64/repodata");
    std::fs::read(site.path(&directory).join(file)).unwrap()
}

#[tokio::test]
async fn a_system_gets_what_its_hosts_need_as_a_repository() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    let report = bundle(&site, vec![redhat.key()], "work", LockMode::Pin)
        .await
        .unwrap();
    let contents = open(&report);
    let [set] = contents.systems.as_slice() else {
        panic!("{:?}", contents.systems);
    };
    assert_eq!(set.format, PackageFormat::Rpm);
    let said: Vec<String> = set
        .packages
        .iter()
        .map(|package| format!("{} {:?}", package.name, package.needs))
        .collect();
    assert_eq!(
        set.packages[0].path,
        "packages/rocky-9/amd64/conntrack-tools-1.0-1.noarch.rpm"
    );
    insta::assert_snapshot!(said.join("\n"), @r#"
    conntrack-tools ["glibc", "libmnl"]
    container-selinux ["glibc", "libmnl"]
    diffutils ["glibc", "libmnl"]
    ethtool ["glibc", "libmnl"]
    gssproxy []
    iproute ["glibc", "libmnl"]
    iproute-tc ["glibc", "libmnl"]
    ipset ["glibc", "libmnl"]
    iptables-nft ["glibc", "libmnl"]
    ipvsadm ["glibc", "libmnl"]
    kmod ["glibc", "libmnl"]
    libmnl []
    nfs-utils ["gssproxy"]
    procps-ng ["glibc", "libmnl"]
    socat ["glibc", "libmnl"]
    "#);
    let base: Vec<String> = set
        .base
        .iter()
        .map(|base| format!("{} {:?}", base.name, base.at_least))
        .collect();
    insta::assert_snapshot!(base.join("\n"), @r#"
    glibc Some("1")
    shadow-utils None
    util-linux None
    "#);
    assert_eq!(set.named["nfs-utils=1.0-1"], ["nfs-utils"]);
    assert_eq!(
        contents.packages_for(&set.os, set.arch),
        Some(set),
        "a host of the system finds it"
    );
    let listed = contents.file(&set.packages[0].path).unwrap();
    assert_eq!(
        listed.checksum_from.as_deref(),
        Some("https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml")
    );
    for name in ["repomd.xml", "primary.xml.gz", "filelists.xml.gz"] {
        let path = format!("packages/rocky-9/amd64/repodata/{name}");
        let entry = contents.file(Utf8Path::new(&path)).unwrap();
        let written = repodata(&site, "work", ROCKY, name);
        assert_eq!(entry.sha256, Sha256::of(&written));
    }
}

#[tokio::test]
async fn a_lock_of_the_same_wishes_asks_no_index_again_and_gives_the_same_bundle() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    let keys = || vec![redhat.key()];
    let first = bundle(&site, keys(), "work", LockMode::Pin).await.unwrap();
    for repository in ["BaseOS", "AppStream", "extras"] {
        let repomd = format!("{repository}/x86_64/os/repodata/repomd.xml");
        site.upstream.remove(&repomd);
    }
    let second = bundle(&site, keys(), "other", LockMode::Locked)
        .await
        .unwrap();
    for name in ["repomd.xml", "primary.xml.gz", "filelists.xml.gz"] {
        assert_eq!(
            repodata(&site, "work", ROCKY, name),
            repodata(&site, "other", ROCKY, name)
        );
    }
    assert_eq!(
        std::fs::read(first.out).unwrap(),
        std::fs::read(second.out).unwrap()
    );
}

#[tokio::test]
async fn metadata_that_nobody_signed_are_refused() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    site.upstream
        .remove("AppStream/x86_64/os/repodata/repomd.xml.asc");
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    insta::assert_snapshot!(said, @r"
    packages of rocky-9 for amd64: https://dl.rockylinux.org/pub/rocky/9/AppStream/x86_64/os: repomd.xml is not signed: there is no repomd.xml.asc beside it
    hint: if this distribution signs its packages alone, the table of systems says so with 'signed: packages'; otherwise the mirror is not complete
    ");
    assert!(unverified);
}

#[tokio::test]
async fn metadata_that_were_changed_are_refused() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    site.upstream
        .replace("BaseOS/x86_64/os/repodata/repomd.xml", b"<repomd/>");
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    assert!(said.starts_with("packages of rocky-9 for amd64: https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os: repomd.xml: "), "{said}");
    assert!(
        said.contains("the text was changed after it was signed"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn metadata_of_a_stranger_are_refused() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    let (said, unverified) = refused(&site, Vec::new()).await;
    assert!(said.contains("none of the known keys"), "{said}");
    assert!(unverified);
}

#[tokio::test]
async fn a_list_of_packages_that_is_not_what_was_signed_is_refused() {
    let redhat = redhat();
    let site = site(&redhat, ROCKY).await;
    let path = site
        .upstream
        .path_with("/BaseOS/x86_64/os/repodata/", "-primary.xml.gz");
    site.upstream.replace(&path, b"something else");
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    assert!(
        said.contains("wrong content") && said.contains("os/repodata/repomd.xml"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn a_package_that_does_not_exist_names_who_wants_it() {
    let redhat = RedHat::new();
    let site = site(&redhat, ROCKY).await;
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    insta::assert_snapshot!(said, @r"
    packages of rocky-9 for amd64: nfs-utils = 1.0-1 (wanted by system.rpms) cannot be installed:
      no package satisfies nfs-utils = 1.0-1
    hint: look at what wants it: a package of system.debs or system.rpms may be called otherwise there, or be of an archive that kubexm does not ask
    ");
    assert!(!unverified);
}

#[tokio::test]
async fn a_version_that_is_not_there_is_told_with_the_one_that_is() {
    let redhat = redhat();
    let mut site = site(&redhat, ROCKY).await;
    site.cluster.spec.system.rpms = vec!["nfs-utils=2.0".to_owned()];
    let (said, _) = refused(&site, vec![redhat.key()]).await;
    insta::assert_snapshot!(said, @r"
    packages of rocky-9 for amd64: nfs-utils = 2.0 (wanted by system.rpms) cannot be installed:
      no package satisfies nfs-utils = 2.0; there is nfs-utils-1.0-1.noarch
    hint: look at what wants it: a package of system.debs or system.rpms may be called otherwise there, or be of an archive that kubexm does not ask
    ");
}

#[tokio::test]
async fn a_module_stream_hides_what_other_repositories_have_of_its_names() {
    let mut redhat = redhat();
    redhat.modules = Some(
        r#"---
document: modulemd
version: 2
data:
  name: socat
  stream: "2"
  version: 1
  context: c0ffee00
  arch: noarch
  summary: a
  description: b
  license: {module: [MIT]}
  artifacts: {rpms: ["socat-0:2.0-1.noarch"]}
...
---
document: modulemd-defaults
version: 1
data: {module: socat, stream: "2", profiles: {"2": [a]}}
...
"#,
    );
    let site = site(&redhat, ROCKY).await;
    let (said, _) = refused(&site, vec![redhat.key()]).await;
    assert!(said.contains("no package satisfies socat\n"), "{said}");
}

#[tokio::test]
async fn where_packages_alone_are_signed_each_is_judged() {
    let mut redhat = redhat();
    let signer = Signer::new();
    let key = signer.key();
    redhat.packages_signed = Some(signer);
    let site = site(&redhat, OPENEULER).await;
    let report = bundle(&site, vec![key], "work", LockMode::Pin)
        .await
        .unwrap();
    let contents = open(&report);
    assert!(contents.systems[0].package("nfs-utils").is_some());
}

#[tokio::test]
async fn packages_of_a_stranger_are_refused() {
    let mut redhat = redhat();
    redhat.packages_signed = Some(Signer::new());
    let site = site(&redhat, OPENEULER).await;
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    assert!(said.starts_with("packages of openeuler-24.03 for amd64: https://repo.openeuler.org/openEuler-24.03-LTS-SP1/OS/x86_64/noarch/conntrack-tools-1.0-1.noarch.rpm: conntrack-tools-1.0-1.noarch.rpm: signed by "), "{said}");
    assert!(said.contains("none of the known keys"), "{said}");
    assert!(unverified);
}

#[tokio::test]
async fn packages_that_nobody_signed_are_refused() {
    let redhat = redhat();
    let site = site(&redhat, OPENEULER).await;
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    insta::assert_snapshot!(said, @r"
    packages of openeuler-24.03 for amd64: https://repo.openeuler.org/openEuler-24.03-LTS-SP1/OS/x86_64/noarch/conntrack-tools-1.0-1.noarch.rpm: conntrack-tools-1.0-1.noarch.rpm is not signed
    hint: the mirror has another file than the distribution made, or it needs another key
    ");
    assert!(unverified);
}

#[tokio::test]
async fn packages_may_lie_elsewhere_than_their_metadata() {
    let mut redhat = redhat();
    redhat.elsewhere = Some("https://packages.example.org/rocky/");
    let site = site(&redhat, ROCKY).await;
    let report = bundle(&site, vec![redhat.key()], "work", LockMode::Pin)
        .await
        .unwrap();
    let contents = open(&report);
    let socat = contents.systems[0].package("socat").unwrap();
    let listed = contents.file(&socat.path).unwrap();
    assert_eq!(
        listed.origin.as_deref(),
        Some("https://packages.example.org/rocky/noarch/socat-1.0-1.noarch.rpm")
    );
    assert_eq!(
        listed.checksum_from.as_deref(),
        Some("https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os/repodata/repomd.xml")
    );
}

#[tokio::test]
async fn packages_that_lie_where_nobody_can_fetch_them_are_told() {
    let mut redhat = redhat();
    redhat.elsewhere = Some("file:///srv/rocky");
    let site = site(&redhat, ROCKY).await;
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    let (file, cause) = said.split_once(" is malformed at byte ").unwrap();
    assert!(
        file.starts_with("packages of rocky-9 for amd64: https://dl.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os: repodata/")
            && file.ends_with("-primary.xml.gz"),
        "{said}"
    );
    assert!(
        cause.ends_with(": packages lie at 'file:///srv/rocky', where they cannot be fetched from"),
        "{said}"
    );
    assert!(!unverified);
}

#[tokio::test]
async fn metadata_that_are_none_are_told() {
    let redhat = redhat();
    let site = site(&redhat, OPENEULER).await;
    site.upstream
        .replace("/OS/x86_64/repodata/repomd.xml", b"<repomd><data>");
    let (said, unverified) = refused(&site, vec![redhat.key()]).await;
    insta::assert_snapshot!(said, @"packages of openeuler-24.03 for amd64: https://repo.openeuler.org/openEuler-24.03-LTS-SP1/OS/x86_64: repomd.xml is malformed at byte 14: <data> has no type");
    assert!(!unverified);
}

#[tokio::test]
async fn metadata_that_are_not_signed_must_tell_the_truth_of_packages() {
    let mut redhat = redhat();
    let signer = Signer::new();
    let key = signer.key();
    redhat.packages_signed = Some(signer);
    for (from, to, expected) in [
        (
            "name=\"libmnl\"/>",
            "name=\"glibc\"/>",
            "conntrack-tools-1.0-1.noarch.rpm: its signed header says that it requires libmnl, and the repository does not",
        ),
        (
            "<rpm:entry name=\"socat\" ",
            "<rpm:entry name=\"other\" flags=\"EQ\" epoch=\"0\" ver=\"1\" rel=\"1\"/><rpm:entry name=\"socat\" ",
            "socat-1.0-1.noarch.rpm: the repository says that it provides other = 1-1, and its signed header does not",
        ),
    ] {
        let site = site(&redhat, OPENEULER).await;
        rewrite(&site, |primary| primary.replace(from, to));
        let (said, unverified) = refused(&site, vec![key.clone()]).await;
        assert!(said.contains(expected), "{said}");
        assert!(unverified);
    }
}

#[tokio::test]
async fn another_signed_package_in_place_of_the_chosen_one_is_refused() {
    let mut redhat = redhat();
    let signer = Signer::new();
    let key = signer.key();
    redhat.packages_signed = Some(signer);
    let site = site(&redhat, OPENEULER).await;
    // Under the name of socat now come the bytes of ethtool, with their own checksum.
    let other = site.upstream.content("ethtool-1.0-1.noarch.rpm");
    site.upstream.replace("socat-1.0-1.noarch.rpm", &other);
    rewrite(&site, |primary| {
        let package = |name: &str| {
            let start = format!("<package type=\"rpm\">\n  <name>{name}</name>");
            let start = primary.find(&start).unwrap();
            let end = primary[start..].find("</package>").unwrap();
            primary[start..start + end].to_owned()
        };
        let (socat, ethtool) = (package("socat"), package("ethtool"));
        primary.replace(&socat, &ethtool.replace("ethtool", "socat"))
    });
    let (said, unverified) = refused(&site, vec![key]).await;
    insta::assert_snapshot!(said, @r"
    packages of openeuler-24.03 for amd64: https://repo.openeuler.org/openEuler-24.03-LTS-SP1/OS/x86_64/noarch/socat-1.0-1.noarch.rpm: it is ethtool-1.0-1.noarch, and not socat-1.0-1 for x86_64
    hint: the mirror has changed its metadata, which this distribution does not sign: use another one
    ");
    assert!(unverified);
}

/// Changes the list of packages of the first repository, as a mirror can whose metadata nobody signs.
fn rewrite(site: &Site, change: impl FnOnce(String) -> String) {
    use std::io::{Read as _, Write as _};
    let upstream = &site.upstream;
    let path = upstream.path_with("/OS/x86_64/repodata/", "-primary.xml.gz");
    let repomd = "/OS/x86_64/repodata/repomd.xml";
    let packed = upstream.content(&path);
    let mut text = String::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed.as_slice());
    reader.read_to_string(&mut text).unwrap();
    let text = change(text);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    let packed = writer.finish().unwrap();
    let listed = String::from_utf8(upstream.content(repomd)).unwrap();
    let start = listed.find("<data type=\"primary\">").unwrap();
    let end = start + listed[start..].find("</data>").unwrap();
    let location = path.rsplit('/').next().unwrap();
    let primary = format!(
        "<data type=\"primary\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{location}\"/>",
        Sha256::of(&packed)
    );
    let listed = format!("{}{primary}{}", &listed[..start], &listed[end..]);
    upstream.replace(&path, &packed);
    upstream.replace(repomd, listed.as_bytes());
}
