use artifact::PackageEntry;
use camino::Utf8Path;
use cluster::Arch;

use super::*;

const NAME: &str = "chrony_4.6-3_amd64.deb";

fn system(paths: &[&str]) -> LockedSystem {
    let entry = |path: &&str| PackageEntry {
        name: "chrony".to_owned(),
        version: "4.6-3".to_owned(),
        path: Utf8PathBuf::from(*path),
        needs: Vec::new(),
    };
    let file = |path: &&str| {
        let file = LockedPackage {
            url: format!("https://deb.debian.org/debian/pool/{NAME}"),
            size: 1,
            sha256: Sha256::of(b""),
            index: "https://deb.debian.org/debian/dists/trixie/InRelease".to_owned(),
        };
        (Utf8PathBuf::from(*path), file)
    };
    LockedSystem {
        wanted: Wishes::default(),
        known: None,
        dates: BTreeMap::new(),
        set: PackageSet {
            os: "debian-13".parse().unwrap(),
            arch: Arch::Amd64,
            format: PackageFormat::Deb,
            names: BTreeMap::new(),
            named: BTreeMap::new(),
            packages: paths.iter().map(entry).collect(),
            base: Vec::new(),
        },
        files: paths.iter().map(file).collect(),
    }
}

#[test]
fn packages_have_their_place_and_nothing_else_is_written() {
    let here = "packages/debian-13/amd64/";
    let check = |path: &str| system(&[path]).check("debian-13/amd64");
    assert_eq!(check(&format!("{here}{NAME}")), Ok(()));
    for path in [
        "/etc/cron.d/x.deb".to_owned(),
        format!("../{NAME}"),
        format!("{here}../../../x.deb"),
        format!("{here}deeper/{NAME}"),
        format!("packages/debian-13/arm64/{NAME}"),
        format!("packages//debian-13/amd64/{NAME}"),
        format!("{here}Packages"),
        format!("{here}.x.deb"),
        format!("{here}.deb"),
        format!("{here}a\u{1b}[2J.deb"),
        format!("{here}{}.deb", "x".repeat(300)),
        "config.yaml".to_owned(),
    ] {
        let refused = matches!(check(&path), Err(Unlockable::Place { .. }));
        assert!(refused, "{path}");
    }
}

#[test]
fn a_system_is_the_one_that_it_is_filed_under() {
    let error = system(&[]).check("debian-12/amd64").unwrap_err();
    insta::assert_snapshot!(error, @r#""debian-12/amd64" is not the system that it holds, debian-13/amd64"#);
}

#[test]
fn what_is_listed_is_what_is_locked() {
    let one = "packages/debian-13/amd64/a.deb";
    let mut more = system(&[one, "packages/debian-13/amd64/b.deb"]);
    more.files.remove(Utf8Path::new(one));
    let error = more.check("debian-13/amd64").unwrap_err();
    insta::assert_snapshot!(error, @r#""packages/debian-13/amd64/a.deb" is either listed and not locked, or locked and not listed"#);
    let mut fewer = system(&[one]);
    fewer.set.packages.clear();
    assert!(fewer.check("debian-13/amd64").is_err());
}
