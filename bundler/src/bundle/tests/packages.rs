//! Packages of operating systems, from a stand-in for Debian's archive.

use super::*;
use crate::bundle::Update;
use crate::testing::{Debian, Form};

const SPEC: &str = r#"{
    "hosts": [{"name": "node1", "address": "192.0.2.1", "os": "debian-13"}],
    "roleGroups": {"etcd": ["node1"], "master": ["node1"], "worker": ["node1"]},
    "kubernetes": {"version": "v1.34.2"},
    "network": {"plugin": "none"},
    "tools": [],
    "system": {"debs": ["nfs-common"]}
}"#;

fn debian() -> Debian {
    Debian::new().with("nfs-common", "Depends: libmnl0\n")
}

async fn site(debian: &Debian) -> Site {
    let site = Site::new(SPEC).await;
    debian.publish(&site.upstream);
    site
}

async fn bundle(
    site: &Site,
    debian: &Debian,
    work: &str,
    lock_mode: LockMode,
) -> Result<Report, BundleError> {
    let request = Request {
        keyrings: vec![debian.key()],
        lock_mode,
        ..site.request(work)
    };
    run(request, &Events::nowhere()).await
}

async fn refused(site: &Site, debian: &Debian) -> (String, bool) {
    let error = bundle(site, debian, "work", LockMode::Pin)
        .await
        .unwrap_err();
    assert!(
        !site.path("work/example.tar.zst").exists(),
        "nothing under a final name"
    );
    (site.said(&error), error.is_unverified())
}

#[tokio::test]
async fn a_system_gets_what_its_hosts_need_as_a_repository() {
    let debian = debian();
    let site = site(&debian).await;
    let report = bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let contents = open(&report);
    let [set] = contents.systems.as_slice() else {
        panic!("{:?}", contents.systems);
    };
    let names: Vec<&str> = set
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    insta::assert_snapshot!(names.join(" "), @"conntrack ebtables ethtool iproute2 ipset iptables ipvsadm kmod libmnl0 nfs-common procps socat");
    assert!(
        set.base
            .iter()
            .any(|base| base.name == "libc6" && base.at_least.as_deref() == Some("1")),
        "{:?}",
        set.base
    );
    assert_eq!(set.named["nfs-common"], ["nfs-common"]);
    let directory = "work/.kubexm/example/packages/debian-13/amd64";
    let index = std::fs::read_to_string(site.path(directory).join("Packages")).unwrap();
    assert!(
        index.contains("Filename: ./conntrack_1.0-1_amd64.deb"),
        "{index}"
    );
    assert!(site.path(directory).join("Release").exists());
    let listed = contents.file(&set.packages[0].path).unwrap();
    assert_eq!(
        listed.checksum_from.as_deref(),
        Some("https://deb.debian.org/debian/dists/trixie/InRelease")
    );
}

#[tokio::test]
async fn a_lock_of_the_same_wishes_asks_no_index_again() {
    let debian = debian();
    let site = site(&debian).await;
    let first = bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    for suite in [
        "trixie/InRelease",
        "trixie-updates/InRelease",
        "trixie-security/InRelease",
    ] {
        site.upstream.remove(suite);
    }
    let second = bundle(&site, &debian, "other", LockMode::Locked)
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(first.out).unwrap(),
        std::fs::read(second.out).unwrap()
    );
}

#[tokio::test]
async fn other_wishes_are_solved_anew_and_refused_under_locked() {
    let debian = debian();
    let mut site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    site.cluster.spec.system.debs.clear();
    let error = bundle(&site, &debian, "other", LockMode::Locked)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    DIR/kubexm.lock does not fit the config:
      packages of debian-13/amd64: others are wanted than are locked
    hint: bundle once without --locked, look at what changed in the lock file, and keep it
    ");
    let report = bundle(&site, &debian, "other", LockMode::Pin)
        .await
        .unwrap();
    assert!(open(&report).systems[0].package("nfs-common").is_none());
}

#[tokio::test]
async fn a_package_that_the_archive_dropped_is_told() {
    let debian = debian();
    let site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    site.upstream.remove("/socat_1.0-1_amd64.deb");
    let error = bundle(&site, &debian, "other", LockMode::Pin)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r#"
    one thing could not be fetched:
      socat 1.0-1 of debian-13 for amd64: http://UP/deb.debian.org/debian/pool/main/socat_1.0-1_amd64.deb: the archive does not have it any more (404)
    hint: archives drop older packages: choose anew with --update systems, or name a --mirror that keeps them
    "#);
}

#[tokio::test]
async fn an_index_that_is_not_what_was_signed_is_refused() {
    let debian = debian();
    let site = site(&debian).await;
    site.upstream.replace(
        "debian/dists/trixie/main/binary-amd64/Packages.gz",
        b"something else",
    );
    let (said, unverified) = refused(&site, &debian).await;
    assert!(
        said.contains("wrong content")
            && said.contains("listed in https://deb.debian.org/debian/dists/trixie/InRelease"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn an_index_of_a_stranger_is_refused() {
    let debian = debian();
    let site = site(&debian).await;
    let error = site.bundle("work").await.unwrap_err();
    let said = site.said(&error);
    assert!(said.starts_with("packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie/InRelease: signed by "), "{said}");
    assert!(said.contains("none of the known keys"), "{said}");
    assert!(error.is_unverified());
}

#[tokio::test]
async fn an_expired_index_is_refused() {
    let mut debian = debian();
    debian.valid_until = Some("Sat, 22 Nov 2025 09:31:14 UTC");
    let site = site(&debian).await;
    let (said, unverified) = refused(&site, &debian).await;
    insta::assert_snapshot!(said, @r"
    packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie/InRelease: the index of trixie, of 2025-11-15T09:31:14Z, was good until 2025-11-22T09:31:14Z
    hint: the mirror is behind, or keeps an old index back: use another one
    ");
    assert!(unverified);
}

#[tokio::test]
async fn an_archive_that_is_not_there_is_told() {
    let debian = debian();
    let site = site(&debian).await;
    site.upstream.remove("trixie-security/InRelease");
    let (said, unverified) = refused(&site, &debian).await;
    insta::assert_snapshot!(said, @r"
    packages of debian-13 for amd64: https://deb.debian.org/debian-security/dists/trixie-security: neither InRelease nor Release is there
    hint: check that this release is still there; a mirror may not have it
    ");
    assert!(!unverified);
}

/// An archive as small and old mirrors have it.
fn pair() -> Debian {
    let mut debian = debian();
    debian.form = Form::Pair;
    debian
}

#[tokio::test]
async fn a_release_with_its_signature_beside_it_will_do() {
    let debian = pair();
    let site = site(&debian).await;
    let report = bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let contents = open(&report);
    let [set] = contents.systems.as_slice() else {
        panic!("{:?}", contents.systems);
    };
    let listed = contents.file(&set.packages[0].path).unwrap();
    let release = "https://deb.debian.org/debian/dists/trixie/Release";
    assert_eq!(listed.checksum_from.as_deref(), Some(release));
    let lock = std::fs::read_to_string(site.path("kubexm.lock")).unwrap();
    assert!(
        lock.contains(release) && !lock.contains("InRelease"),
        "{lock}"
    );
}

#[tokio::test]
async fn a_release_that_was_changed_beside_its_signature_is_refused() {
    let debian = pair();
    let site = site(&debian).await;
    site.upstream.replace(
        "debian/dists/trixie/Release",
        b"Codename: trixie\nDate: Sat, 15 Nov 2025 09:31:14 UTC\n",
    );
    let (said, unverified) = refused(&site, &debian).await;
    assert!(said.starts_with("packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie/Release: the signature of key "), "{said}");
    assert!(
        said.contains("the text was changed after it was signed"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn a_release_without_its_signature_is_refused() {
    let debian = pair();
    let site = site(&debian).await;
    site.upstream.remove("trixie-updates/Release.gpg");
    let (said, unverified) = refused(&site, &debian).await;
    insta::assert_snapshot!(said, @r"
    packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie-updates: Release is not signed: neither InRelease nor Release.gpg is there
    hint: check that this release is still there; a mirror may not have it
    ");
    assert!(unverified);
}

#[tokio::test]
async fn an_expired_release_is_refused_however_it_is_signed() {
    let mut debian = pair();
    debian.valid_until = Some("Sat, 22 Nov 2025 09:31:14 UTC");
    let site = site(&debian).await;
    let (said, unverified) = refused(&site, &debian).await;
    assert!(
        said.contains("trixie/Release: the index of trixie, of 2025-11-15T09:31:14Z, was good until 2025-11-22T09:31:14Z"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn a_release_of_a_stranger_is_refused_however_it_is_signed() {
    let site = site(&pair()).await;
    let error = site.bundle("work").await.unwrap_err();
    let said = site.said(&error);
    assert!(said.contains("none of the known keys"), "{said}");
    assert!(error.is_unverified());
}

#[tokio::test]
async fn a_bad_inrelease_is_not_passed_over() {
    let mut debian = debian();
    let site = site(&debian).await;
    debian.form = Form::Pair;
    debian.publish(&site.upstream);
    site.upstream
        .replace("debian/dists/trixie/InRelease", b"Codename: trixie\n");
    let (said, unverified) = refused(&site, &debian).await;
    assert!(
        said.starts_with("packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie/InRelease: this is no OpenPGP signature"),
        "{said}"
    );
    assert!(unverified);
}

#[tokio::test]
async fn an_inrelease_that_cannot_be_fetched_is_not_passed_over() {
    let mut debian = debian();
    let site = site(&debian).await;
    debian.form = Form::Pair;
    debian.publish(&site.upstream);
    site.upstream.refuse("debian/dists/trixie/InRelease", 403);
    let (said, _) = refused(&site, &debian).await;
    insta::assert_snapshot!(said, @r"
    one thing could not be fetched:
      index https://deb.debian.org/debian/dists/trixie/InRelease of debian-13 for amd64: http://UP/deb.debian.org/debian/dists/trixie/InRelease: access refused (403)
    hint: a mirror's login is written into its address: --mirror HOST=https://USER:PASSWORD@MIRROR
    ");
}

#[tokio::test]
async fn a_package_that_does_not_exist_names_who_wants_it() {
    let debian = Debian::new();
    let site = site(&debian).await;
    let (said, _) = refused(&site, &debian).await;
    assert!(said.starts_with("packages of debian-13 for amd64: nfs-common (wanted by system.debs) cannot be installed:"), "{said}");
    assert!(said.contains("hint: look at what wants it"), "{said}");
}

#[tokio::test]
async fn packages_that_cannot_be_together_are_told() {
    let debian = Debian::new().with("nfs-common", "Conflicts: conntrack\n");
    let site = site(&debian).await;
    let (said, _) = refused(&site, &debian).await;
    assert!(
        said.contains("conntrack (wanted by every Kubernetes node)"),
        "{said}"
    );
    assert!(
        said.contains("nfs-common (wanted by system.debs)"),
        "{said}"
    );
    assert!(said.contains("conflicts with conntrack"), "{said}");
}

#[tokio::test]
async fn a_system_that_is_not_known_is_told_with_those_that_are() {
    let site = Site::new(&SPEC.replace("debian-13", "debian-14")).await;
    let error = site.bundle("work").await.unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    kubexm does not know the operating system 'debian-14'
    hint: did you mean debian-13? known are almalinux-10, almalinux-8, almalinux-9, centos-10, centos-9, debian-12, debian-13, kylin-v10, openeuler-22.03, openeuler-24.03, rocky-10, rocky-8, rocky-9, ubuntu-22.04, ubuntu-24.04
    ");
}

/// The lock file with something in it replaced.
fn tamper(site: &Site, from: &str, to: &str) {
    let path = site.path("kubexm.lock");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

#[tokio::test]
async fn a_lock_that_writes_beside_the_packages_is_refused() {
    let debian = debian();
    let site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let there = "packages/debian-13/amd64/socat_1.0-1_amd64.deb";
    tamper(&site, there, "../../victim.deb");
    let error = bundle(&site, &debian, "other", LockMode::Pin)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r#"
    DIR/kubexm.lock locks packages as no kubexm writes it: "../../victim.deb" is no place for a package of debian-13/amd64
    hint: somebody has changed it by hand: find out who, and take it back from version control
    "#);
    assert!(error.is_unverified());
    assert!(!site.path("other/victim.deb").exists());
}

#[tokio::test]
async fn a_locked_address_beyond_the_archives_is_not_believed() {
    let debian = debian();
    let site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let right = std::fs::read_to_string(site.path("kubexm.lock")).unwrap();
    let of = "https://deb.debian.org/debian/pool/main/socat";
    tamper(&site, of, "https://evil.example.org/pool/main/socat");
    let error = bundle(&site, &debian, "other", LockMode::Locked)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    DIR/kubexm.lock does not fit the config:
      packages of debian-13/amd64: https://evil.example.org/pool/main/socat_1.0-1_amd64.deb is locked, and in none of the system's archives
    hint: bundle once without --locked, look at what changed in the lock file, and keep it
    ");
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let now = std::fs::read_to_string(site.path("kubexm.lock")).unwrap();
    assert_eq!(
        now.replace("\"serial\": 2", "\"serial\": 1"),
        right,
        "the archive's own index has been asked"
    );
}

#[tokio::test]
async fn a_lock_of_another_table_of_systems_is_not_used_as_it_is() {
    let debian = debian();
    let site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let lock = crate::lock::Lock::read(&site.path("kubexm.lock")).unwrap();
    let known = lock.unwrap().systems["debian-13/amd64"].known.unwrap();
    tamper(&site, &known.to_string(), &Sha256::of(b"").to_string());
    let error = bundle(&site, &debian, "work", LockMode::Locked)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r"
    DIR/kubexm.lock does not fit the config:
      packages of debian-13/amd64: they were locked by a kubexm that knew other archives, keys or base packages of it
    hint: bundle once without --locked, look at what changed in the lock file, and keep it
    ");
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    bundle(&site, &debian, "work", LockMode::Locked)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_index_older_than_the_locked_one_is_refused() {
    let debian = debian();
    let mut site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    tamper(&site, "2025-11-15T09:31:14Z", "2025-11-16T09:31:14Z");
    site.cluster.spec.system.debs.clear();
    let error = bundle(&site, &debian, "other", LockMode::Pin)
        .await
        .unwrap_err();
    insta::assert_snapshot!(site.said(&error), @r#"
    packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie: the index is of 2025-11-15T09:31:14Z, and kubexm.lock has seen one of 2025-11-16T09:31:14Z
    hint: the mirror is behind, or keeps an old index back: use another one; to take the older one all the same, take this system out of "systems" in kubexm.lock
    "#);
    assert!(error.is_unverified());
}

#[tokio::test]
async fn another_suite_under_the_address_is_refused() {
    let debian = debian();
    let site = site(&debian).await;
    let other = site.upstream.content("trixie-updates/InRelease");
    site.upstream.replace("dists/trixie/InRelease", &other);
    let (said, unverified) = refused(&site, &debian).await;
    insta::assert_snapshot!(said, @r"
    packages of debian-13 for amd64: https://deb.debian.org/debian/dists/trixie/InRelease: it is the index of trixie-updates, and not of trixie
    hint: the mirror serves another release under this address, though a signed one: use another mirror, and find out why
    ");
    assert!(unverified);
}

#[tokio::test]
async fn locked_packages_give_way_where_that_is_asked_for() {
    let debian = debian();
    let site = site(&debian).await;
    bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let newer = debian.with("nfs-common", "Depends: libmnl0, nfs-more\n");
    let newer = newer.with("nfs-more", "");
    newer.publish(&site.upstream);
    let lock = || std::fs::read_to_string(site.path("kubexm.lock")).unwrap();
    assert!(!lock().contains("nfs-more"));
    let request = Request {
        keyrings: vec![newer.key()],
        update: BTreeSet::from([Update::Systems]),
        ..site.request("work")
    };
    run(request, &Events::nowhere()).await.unwrap();
    assert!(lock().contains("nfs-more"));
}

#[tokio::test]
async fn what_the_config_names_travels_though_a_bare_system_has_it() {
    let debian = debian();
    let mut site = site(&debian).await;
    site.cluster.spec.system.debs = vec!["passwd".to_owned()];
    let report = bundle(&site, &debian, "work", LockMode::Pin).await.unwrap();
    let contents = open(&report);
    assert!(contents.systems[0].package("passwd").is_some());
}
