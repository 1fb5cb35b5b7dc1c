use camino::Utf8PathBuf;

use super::*;
use crate::resolve::WantedFile;

fn example() -> Lock {
    let mut lock = Lock::of("example");
    for name in ["b", "a"] {
        lock.files.insert(
            format!("https://example.com/{name}"),
            LockedFile {
                component: name.to_owned(),
                version: "v1.2.3".to_owned(),
                arch: Some(Arch::Amd64),
                size: 7,
                sha256: Sha256::of(name.as_bytes()),
                published: (name == "a").then(|| "https://example.com/SHA256SUMS".to_owned()),
            },
        );
    }
    lock.images.insert(
        "example.com/app:1".to_owned(),
        LockedImage {
            upstream: Sha256::of(b"index"),
            stored: Sha256::of(b"stored"),
            platforms: vec![PlatformEntry {
                arch: Arch::Amd64,
                digest: Sha256::of(b"m"),
                size: 3,
            }],
        },
    );
    lock
}

#[test]
fn what_is_written_is_read_and_written_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(dir.path().join("kubexm.lock")).unwrap();
    assert!(Lock::read(&path).unwrap().is_none());
    example().write(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    let read = Lock::read(&path).unwrap().unwrap();
    assert_eq!(read, example());
    read.write(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
    insta::assert_snapshot!(String::from_utf8(first).unwrap());
}

/// `a` and what is given, of the addresses and names of the example.
fn wanted(files: &[(&str, &str, Arch)], images: &[&str], arches: &[Arch]) -> Wanted {
    let file = |(name, version, arch): &(&str, &str, Arch)| WantedFile {
        file: catalogue::Resolved {
            component: (*name).to_owned(),
            version: version.parse().unwrap(),
            arch: Some(*arch),
            url: format!("https://example.com/{name}"),
            checksum: catalogue::Checksum::Unpublished,
            path: format!("{name}/file"),
            carries: catalogue::Carries::Nothing,
        },
        wanted_by: Vec::new(),
    };
    Wanted {
        arches: arches.iter().copied().collect(),
        files: files.iter().map(file).collect(),
        images: images
            .iter()
            .map(|reference| crate::resolve::WantedImage {
                reference: (*reference).to_owned(),
                wanted_by: Vec::new(),
                arches: arches.iter().copied().collect(),
                sets: BTreeSet::new(),
            })
            .collect(),
        named: BTreeSet::new(),
        needs: Vec::new(),
        nearest: None,
    }
}

#[test]
fn each_difference_is_named() {
    let new = wanted(
        &[("a", "1.2.3", Arch::Amd64), ("c", "1.0.0", Arch::Amd64)],
        &["example.com/app:1", "example.com/new:1"],
        &Arch::ALL,
    );
    let error = LockError::Differs {
        path: "kubexm.lock".into(),
        differences: example().differences(&new, &[]),
    };
    insta::assert_snapshot!(error.to_string(), @r"
    kubexm.lock does not fit the config:
      c v1.0.0 for amd64 is wanted and not locked: https://example.com/c
      b v1.2.3 for amd64 is locked and not wanted: https://example.com/b
      image example.com/new:1 is wanted and not locked
      image example.com/app:1 is wanted for amd64, arm64 and locked for amd64
    ");
    let same = wanted(
        &[("a", "1.2.3", Arch::Amd64), ("b", "1.2.3", Arch::Amd64)],
        &["example.com/app:1"],
        &[Arch::Amd64],
    );
    assert_eq!(example().differences(&same, &[]), []);
}

#[test]
fn pins_of_an_architecture_that_is_left_out_for_now_are_no_difference() {
    let mut lock = example();
    let mut arm = lock.files["https://example.com/a"].clone();
    arm.arch = Some(Arch::Arm64);
    lock.files
        .insert("https://example.com/a-arm64".to_owned(), arm.clone());
    arm.version = "v1.2.2".to_owned();
    lock.files
        .insert("https://example.com/a-old".to_owned(), arm);
    let now = wanted(
        &[("a", "1.2.3", Arch::Amd64), ("b", "1.2.3", Arch::Amd64)],
        &["example.com/app:1"],
        &[Arch::Amd64],
    );
    let resting: Vec<_> = lock.resting(&now).map(|(url, _)| url.as_str()).collect();
    assert_eq!(resting, ["https://example.com/a-arm64"]);
    let differences: Vec<_> = lock.differences(&now, &[]);
    assert_eq!(
        differences
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["a v1.2.2 for arm64 is locked and not wanted: https://example.com/a-old"]
    );
}

#[test]
fn the_lock_of_another_cluster_is_refused() {
    let lock = Lock::of("east");
    lock.must_be_of("east", "kubexm.lock".into()).unwrap();
    let error = lock.must_be_of("west", "kubexm.lock".into()).unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    kubexm.lock is the lock file of cluster 'east', not of 'west'
    hint: keep each cluster's config in a directory of its own, or remove the lock file if the cluster was renamed
    ");
}

#[test]
fn a_lock_file_that_cannot_be_used_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::try_from(dir.path().join("kubexm.lock")).unwrap();
    let said = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Lock::read(&path).unwrap_err();
        let message = error
            .to_string()
            .replace(dir.path().to_str().unwrap(), "DIR");
        format!("{message}\nhint: {}", error.hint().unwrap())
    };
    insta::assert_snapshot!(said("{"), @r"
    DIR/kubexm.lock is not a lock file of kubexm: EOF while parsing an object at line 1 column 1
    hint: take it back from version control, or delete it: the next bundle writes it anew
    ");
    insta::assert_snapshot!(said(r#"{"format": 0}"#), @r"
    DIR/kubexm.lock is not a lock file of kubexm: there is no format 0
    hint: take it back from version control, or delete it: the next bundle writes it anew
    ");
    insta::assert_snapshot!(said(r#"{"format": 9, "more": 1}"#), @r"
    DIR/kubexm.lock has format 9; this kubexm knows formats up to 1
    hint: use the kubexm that wrote it, or a newer one
    ");
}
