use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;

use super::*;
use crate::deb::control::DebError;

/// Builds a package with dpkg-deb; its times are fixed, so its bytes are too.
fn build(dir: &Path, name: &str, control: &str, compression: &str) -> Option<Member> {
    let root = dir.join(name);
    std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(root.join("usr/share/doc")).unwrap();
    std::fs::write(root.join("usr/share/doc").join(name), "x".repeat(100_001)).unwrap();
    let control = format!("Package: {name}\n{control}Maintainer: Nobody <nobody@example>\n");
    std::fs::write(root.join("DEBIAN/control"), control).unwrap();
    let file = format!("{name}.deb");
    let built = Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", "1")
        .args([
            "--root-owner-group",
            "--uniform-compression",
            compression,
            "--build",
        ])
        .args([&root, &dir.join(&file)])
        .output();
    let Ok(output) = built else {
        eprintln!("skipped: there is no dpkg-deb here");
        return None;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let deb = Deb::read(std::fs::File::open(dir.join(&file)).unwrap()).unwrap();
    Some(Member { file, deb })
}

const A: &str = "Version: 1.0-1\nArchitecture: amd64\nDepends: b (>= 2)\nSize: 5\nDescription: first\n long\n .\n text\n";
const B: &str = "Version: 1:2.0\nArchitecture: all\nDescription: second\n";

#[test]
fn the_index_is_made_of_the_packages_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut members = Vec::new();
    for (name, control, compression) in [
        ("b", B, "-Zzstd"),
        ("a", A, "-Zxz"),
        ("c", B, "-Zgzip"),
        ("d", B, "-Znone"),
    ] {
        let Some(member) = build(dir.path(), name, control, compression) else {
            return;
        };
        members.push(member);
    }
    let text = packages(&members);
    members.reverse();
    assert_eq!(text, packages(&members));
    let stable = members.iter().fold(text.clone(), |text, member| {
        let Deb { checksum, .. } = &member.deb;
        text.replace(&checksum.sha256, "HASH")
            .replace(&format!("Size: {}\n", checksum.size), "Size: N\n")
    });
    assert_snapshot!(stable, @r"
    Package: a
    Version: 1.0-1
    Architecture: amd64
    Depends: b (>= 2)
    Description: first
     long
     .
     text
    Maintainer: Nobody <nobody@example>
    Filename: ./a.deb
    Size: N
    SHA256: HASH

    Package: b
    Version: 1:2.0
    Architecture: all
    Description: second
    Maintainer: Nobody <nobody@example>
    Filename: ./b.deb
    Size: N
    SHA256: HASH

    Package: c
    Version: 1:2.0
    Architecture: all
    Description: second
    Maintainer: Nobody <nobody@example>
    Filename: ./c.deb
    Size: N
    SHA256: HASH

    Package: d
    Version: 1:2.0
    Architecture: all
    Description: second
    Maintainer: Nobody <nobody@example>
    Filename: ./d.deb
    Size: N
    SHA256: HASH
    ");
    let release = release(&text);
    assert_snapshot!(release.replace(&hex::encode(Sha256::digest(&text)), "HASH").replace(&text.len().to_string(), "N"), @r"
    Origin: kubexm
    Label: kubexm
    Date: Thu, 01 Jan 1970 00:00:00 UTC
    SHA256:
     HASH N Packages
    ");

    std::fs::write(dir.path().join("Packages"), &text).unwrap();
    std::fs::write(dir.path().join("Release"), &release).unwrap();
    apt_takes_it(dir.path());
}

/// Real apt reads the directory as the only source, and would install from it.
fn apt_takes_it(dir: &Path) {
    let state = tempfile::tempdir().unwrap();
    let at = |name: &str| state.path().join(name).display().to_string();
    for name in ["lists/partial", "cache/archives/partial", "etc"] {
        std::fs::create_dir_all(state.path().join(name)).unwrap();
    }
    std::fs::write(at("status"), "").unwrap();
    std::fs::write(
        at("sources.list"),
        format!("deb [trusted=yes] file:{} ./\n", dir.display()),
    )
    .unwrap();
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        for (key, value) in [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "-".to_owned()),
            ("Dir::Etc::Preferences", "/dev/null".to_owned()),
            ("Dir::Etc::PreferencesParts", "-".to_owned()),
            ("Dir::State", state.path().display().to_string()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("cache")),
            ("APT::Architecture", "amd64".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Debug::NoLocking", "1".to_owned()),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        command.args(args).output()
    };
    let Ok(update) = apt(&["update", "--error-on=any"]) else {
        eprintln!("skipped: there is no apt-get here");
        return;
    };
    assert!(
        update.status.success(),
        "{}",
        String::from_utf8_lossy(&update.stderr)
    );
    let install = apt(&["-s", "install", "a"]).unwrap();
    let said = String::from_utf8(install.stdout).unwrap();
    let order: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("Inst"))
        .collect();
    assert_eq!(order.len(), 2, "{said}");
    assert!(
        order[0].starts_with("Inst b (1:2.0") && order[1].starts_with("Inst a (1.0-1"),
        "{said}"
    );
}

#[test]
fn what_is_no_package_is_refused() {
    let refused = |bytes: &[u8]| Deb::read(bytes).unwrap_err().to_string();
    let header = |name: &str, size: usize| {
        format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            0, 0, 0, 100_644
        )
    };
    let archive = |name: &str, content: &[u8]| {
        let mut bytes = format!("!<arch>\n{}", header(name, content.len())).into_bytes();
        bytes.extend(content);
        bytes
    };
    assert_snapshot!(refused(b"<html>not found</html>"), @r"this is no .deb: it is no ar archive");
    assert_snapshot!(refused(&archive("debian-binary", b"2.0\n")), @r"this is no .deb: it ends before its control file");
    assert_snapshot!(refused(&archive("control.tar.lz", b"")), @r"this is no .deb: control.tar.lz is of an unknown kind");
    assert_snapshot!(refused(&archive("control.tar.xz", b"nothing")), @r"this is no .deb: control.tar.xz: premature eof");
    assert_snapshot!(refused(&archive("control.tar", &[0; 1024])), @r"this is no .deb: there is no control file in it");
    assert_snapshot!(refused(b"!<arch>\nbroken, and by far not what ar writes as a header; all of 60 bytes"), @r"this is no .deb: a member of its ar archive has no good header");
    let error = Deb::read(&b""[..]).unwrap_err();
    assert!(matches!(error, DebError::Malformed { .. }));
}
