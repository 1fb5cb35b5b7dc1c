use std::io::Write as _;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use insta::{assert_debug_snapshot, assert_snapshot};
use sha2::{Digest, Sha256};

use super::*;
use crate::checked::Checksum;
use crate::deb::release::Compression;
use crate::deb::{BaseRule, IndexError, IndexFile};

/// `name version; Field: value; Field: value`
fn packages(lines: &[&str]) -> String {
    let stanza = |line: &&str| {
        let (id, fields) = line.split_once(';').unwrap_or((line, ""));
        let (name, version) = id.split_once(' ').unwrap();
        let fields: Vec<&str> = fields.split(';').map(str::trim).collect();
        let fields = fields.join("\n");
        let arch = if fields.contains("Architecture") {
            ""
        } else {
            "Architecture: amd64\n"
        };
        format!(
            "Package: {name}\nVersion: {version}\n{arch}{}Filename: pool/{name}_{version}.deb\nSize: 7\nSHA256: {}\n\n",
            if fields.is_empty() {
                String::new()
            } else {
                fields + "\n"
            },
            "0".repeat(64)
        )
    };
    lines.iter().map(stanza).collect()
}

fn packed(text: &str) -> (IndexFile, Vec<u8>) {
    let mut gzip = GzEncoder::new(Vec::new(), Level::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let bytes = gzip.finish().unwrap();
    let file = IndexFile {
        path: "main/binary-amd64/Packages.gz".to_owned(),
        checksum: Checksum {
            size: bytes.len() as u64,
            sha256: hex::encode(Sha256::digest(&bytes)),
        },
        compression: Compression::Gzip,
        unpacked: text.len() as u64,
    };
    (file, bytes)
}

fn universe(lines: &[&str]) -> Universe {
    let (file, bytes) = packed(&packages(lines));
    let mut universe = Universe::new("amd64");
    universe.read(&file, bytes.as_slice(), 0).unwrap();
    universe
}

fn answer(lines: &[&str], wishes: &[&str]) -> Result<Answer, Unsatisfiable> {
    let universe = universe(lines);
    let base = universe.base(&BaseRule::default()).unwrap();
    let wishes = wishes
        .iter()
        .map(|wish| universe.wish(wish, "the test").unwrap());
    resolve(&universe, &base, &wishes.collect::<Vec<_>>())
}

/// The names of the base: of what is essential.
fn base_of(lines: &[&str]) -> String {
    let universe = universe(lines);
    let base = universe.base(&BaseRule::default()).unwrap();
    let names: BTreeSet<&str> = base.iter().map(|id| &*universe.entry(*id).name).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn what_installations_differ_in_is_not_of_the_base() {
    let lines = [
        "init-system-helpers 1; Essential: yes; Depends: usrmerge | usr-is-merged, libsystemd0",
        "usrmerge 1; Depends: perl",
        "usr-is-merged 1",
        "perl 5; Depends: libperl5",
        "libperl5 5",
        "libsystemd0 252",
        "libelogind0 252; Provides: libsystemd0 (= 252)",
        "base-files 1; Essential: yes; Pre-Depends: awk",
        "mawk 1; Provides: awk",
        "gawk 1; Provides: awk",
        "bash 5; Essential: yes; Depends: shells",
        "login-shells 1; Provides: shells",
        "tool 1; Depends: perl, libsystemd0",
    ];
    assert_snapshot!(base_of(&lines), @"base-files bash init-system-helpers libsystemd0 login-shells");
    assert_snapshot!(chosen(&lines, &["tool"]), @"libperl5 5, perl 5, tool 1");
}

#[test]
fn what_is_named_is_carried_with_what_it_needs_though_the_base_has_it() {
    let lines = [
        "systemd 252; Essential: yes; Depends: libsystemd-shared (= 252), libc6",
        "libsystemd-shared 252; Depends: libc6 (>= 2)",
        "libc6 2",
        "bash 5; Essential: yes; Depends: libtinfo6",
        "libtinfo6 6",
        "tool 1; Depends: libtinfo6",
    ];
    let universe = universe(&lines);
    let base = universe.base(&BaseRule::default()).unwrap();
    let wish = |name: &str| universe.wish(name, "system.debs").unwrap();
    let wishes = [wish("systemd"), wish("tool")];
    let left = solve::without(&universe, &base, &wishes);
    let answer = resolve(&universe, &left, &wishes).unwrap();
    let names: Vec<&str> = answer
        .packages
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["libc6", "libsystemd-shared", "systemd", "tool"]);
    let base: Vec<&str> = answer.base.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(base, ["libtinfo6"]);
}

fn chosen(lines: &[&str], wishes: &[&str]) -> String {
    let packages = answer(lines, wishes).unwrap().packages;
    let labels = packages
        .iter()
        .map(|one| format!("{} {}", one.name, one.version));
    labels.collect::<Vec<_>>().join(", ")
}

fn refused(lines: &[&str], wishes: &[&str]) -> String {
    answer(lines, wishes).unwrap_err().to_string()
}

const ESSENTIAL: &str = "libc6 2.41-12; Essential: yes; Depends: libgcc-s1";
const GCC: &str = "libgcc-s1 14.2; Priority: optional";

#[test]
fn an_answer_says_what_to_carry_and_what_it_relies_on() {
    let lines = [
        "libc6 2.41-12; Essential: yes; Depends: libgcc-s1 (= 14.2)",
        GCC,
        "chrony 4.6-3; Pre-Depends: libc6 (>= 2.36); Depends: libcap2 (>= 1:2.10), libgcc-s1 (= 14.2); Breaks: libc6 (<< 2.40)",
        "libcap2 1:2.75; Depends: libc6 (>= 2.38)",
    ];
    assert_debug_snapshot!(answer(&lines, &["chrony", "libgcc-s1"]).unwrap(), @r#"
    Answer {
        wishes: [
            "chrony",
            "libgcc-s1",
        ],
        packages: [
            Carried {
                name: "chrony",
                version: "4.6-3",
                arch: "amd64",
                source: 0,
                at: None,
                path: "pool/chrony_4.6-3.deb",
                size: 7,
                sha256: "0000000000000000000000000000000000000000000000000000000000000000",
                needs: [
                    "libc6",
                    "libcap2",
                    "libgcc-s1",
                ],
            },
            Carried {
                name: "libcap2",
                version: "1:2.75",
                arch: "amd64",
                source: 0,
                at: None,
                path: "pool/libcap2_1:2.75.deb",
                size: 7,
                sha256: "0000000000000000000000000000000000000000000000000000000000000000",
                needs: [
                    "libc6",
                ],
            },
        ],
        base: [
            Relied {
                name: "libc6",
                version: "2.41-12",
                at_least: Some(
                    "2.40",
                ),
                exactly: None,
            },
            Relied {
                name: "libgcc-s1",
                version: "14.2",
                at_least: Some(
                    "14.2",
                ),
                exactly: Some(
                    "14.2",
                ),
            },
        ],
    }
    "#);
}

#[test]
fn a_real_package_comes_before_who_provides_its_name() {
    let mail = "mail-transport-agent";
    let lines = [
        "client 1; Depends: default-mta | mail-transport-agent",
        "exim 4; Provides: mail-transport-agent",
        "postfix 3; Provides: mail-transport-agent; Priority: standard",
        "named 1; Depends: mta",
        "mta 1",
        "other 2; Provides: mta (= 3); Priority: required",
        "versioned 1; Depends: mta (>= 2)",
    ];
    assert_eq!(chosen(&lines, &["client"]), "client 1, postfix 3");
    assert_eq!(chosen(&lines, &["client", "exim"]), "client 1, exim 4");
    assert_eq!(chosen(&lines, &["named"]), "mta 1, named 1");
    assert_eq!(chosen(&lines, &["versioned"]), "other 2, versioned 1");
    assert_eq!(chosen(&lines, &[mail]), "postfix 3");
}

#[test]
fn any_architecture_is_for_packages_that_allow_it() {
    let lines = [
        "a 1; Depends: python3:any",
        "b 1; Depends: perl:any",
        "c 1; Depends: perl:amd64",
        "d 1; Depends: perl:arm64",
        "python3 3.13; Multi-Arch: allowed",
        "perl 5; Architecture: all",
        "foreign 1; Architecture: arm64",
    ];
    assert_eq!(chosen(&lines, &["a"]), "a 1, python3 3.13");
    assert_eq!(chosen(&lines, &["c"]), "c 1, perl 5");
    assert!(answer(&lines, &["b"]).is_err());
    assert!(answer(&lines, &["d"]).is_err());
    assert!(answer(&lines, &["foreign"]).is_err());
}

#[test]
fn the_newest_of_all_archives_is_taken() {
    let mut universe = universe(&["a 1.9", "a 1.10"]);
    let (file, bytes) = packed(&packages(&[
        "a 1.10",
        "a 1.10+deb13u1",
        "b 1; Depends: a (<< 1.10)",
    ]));
    universe.read(&file, bytes.as_slice(), 1).unwrap();
    let wish = |text| universe.wish(text, "the test").unwrap();
    let answer = |wishes: &[Wish]| {
        resolve(&universe, &BTreeSet::new(), wishes)
            .unwrap()
            .packages
    };
    let newest = answer(&[wish("a")]);
    assert_eq!(
        (newest[0].version.as_str(), newest[0].source),
        ("1.10+deb13u1", 1)
    );
    let asked = answer(&[wish("a (= 1.10)")]);
    assert_eq!((asked[0].version.as_str(), asked[0].source), ("1.10", 0));
    assert_eq!(answer(&[wish("b")])[0].version, "1.9");
}

#[test]
fn a_missing_dependency_is_told() {
    let lines = [
        ESSENTIAL,
        GCC,
        "chrony 4.6; Depends: libnss (>= 4)",
        "libnss 3.1",
    ];
    assert_snapshot!(refused(&lines, &["chrony"]), @r"
    chrony (wanted by the test) cannot be installed:
      chrony 4.6 requires libnss (>= 4), which no package satisfies; there is libnss 3.1
      chrony 4.6 is wanted by the test
    ");
}

#[test]
fn wishes_that_conflict_are_told() {
    let lines = [
        "chrony 4.6; Provides: time-daemon; Conflicts: time-daemon",
        "ntpsec 1.2; Provides: time-daemon; Conflicts: time-daemon",
    ];
    assert_snapshot!(refused(&lines, &["chrony", "ntpsec"]), @r"
    chrony (wanted by the test) and ntpsec (wanted by the test) cannot be installed together:
      ntpsec 1.2 conflicts with time-daemon, which is chrony 4.6
      ntpsec 1.2 is wanted by the test
      chrony 4.6 is wanted by the test
    ");
}

#[test]
fn what_the_base_excludes_is_told() {
    let lines = [
        "init 1; Essential: yes; Conflicts: other-init",
        "other-init 1",
    ];
    assert_snapshot!(refused(&lines, &["other-init"]), @r"
    other-init (wanted by the test) cannot be installed:
      init 1 conflicts with other-init, which is other-init 1
      init 1 is of the base system
      other-init 1 is wanted by the test
    ");
}

#[test]
fn an_index_that_was_changed_is_refused() {
    let (file, bytes) = packed(&packages(&["a 1"]));
    let (_, other) = packed(&packages(&["a 2"]));
    let cut = &bytes[..bytes.len() - 4];
    let longer = [&bytes[..], b"more"].concat();
    for changed in [other.as_slice(), cut, &longer, b"no index", b""] {
        let mut universe = Universe::new("amd64");
        let error = universe.read(&file, changed, 0).unwrap_err();
        assert!(matches!(error, IndexError::Tampered { .. }), "{error}");
        assert!(
            universe
                .wish("a", "the test")
                .unwrap()
                .wanted
                .any_of
                .is_empty()
        );
    }
    let mut universe = Universe::new("amd64");
    let error = universe.read(&file, &b"no index"[..], 0).unwrap_err();
    let said = error.to_string().replace(&file.checksum.sha256, "SIGNED");
    assert_snapshot!(said.replace(&file.checksum.size.to_string(), "99"), @r"main/binary-amd64/Packages.gz is not what the archive signed: 8 bytes with sha256 fc7e1a4add09756169be998ca65a681cac31bdd7d6935fa99186a2fd9f62d3bf, and not 99 bytes with SIGNED");
    assert!(error.hint().is_some());
}

#[test]
fn an_index_that_makes_no_sense_says_where() {
    let mut universe = Universe::new("amd64");
    let mut refused = |text: &str| {
        let (file, bytes) = packed(text);
        universe
            .read(&file, bytes.as_slice(), 0)
            .unwrap_err()
            .to_string()
    };
    assert_snapshot!(refused("Package: a\nVersion: 1\n"), @r"main/binary-amd64/Packages.gz cannot be read: a has no good SHA256");
    assert_snapshot!(refused(&packages(&["a 1; Depends: b c"])), @r#"main/binary-amd64/Packages.gz cannot be read: "b c" is no relation to a package, such as "libc6 (>= 2.38)""#);
}

#[test]
fn what_is_wanted_in_one_version_alone_travels_even_if_the_base_has_it() {
    let lines = [
        "base 1; Essential: yes; Depends: perl-base",
        "perl-base 5.40.1-6+deb13u1; Essential: yes; Depends: libc6",
        "libc6 2.41; Essential: yes",
        "perl 5.40.1-6+deb13u1; Depends: perl-base (= 5.40.1-6+deb13u1), libc6 (>= 2.38)",
    ];
    let answer = answer(&lines, &["perl"]).unwrap();
    let carried: Vec<&str> = answer
        .packages
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(carried, ["perl", "perl-base"]);
    let base: Vec<&str> = answer.base.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(base, ["libc6"]);
}

#[test]
fn what_the_base_ties_down_stays_of_the_base() {
    let lines = [
        "libgcc-s1 14.2; Essential: yes; Depends: gcc-14-base (= 14.2)",
        "gcc-14-base 14.2; Essential: yes",
        "libgomp1 14.2; Depends: gcc-14-base (= 14.2)",
    ];
    let answer = answer(&lines, &["libgomp1"]).unwrap();
    let carried: Vec<&str> = answer
        .packages
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(carried, ["libgomp1"]);
    assert_eq!(answer.base[0].exactly.as_deref(), Some("14.2"));
}
