//! What is signed and what was changed: gpg signs as distributions do, rpmsign signs packages.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::PathBuf;
use std::process::Command;

use flate2::read::GzDecoder;
use jiff::Timestamp;
use packages::openpgp::Keyring;
use packages::rpm::header::{HeaderError, verify};
use packages::rpm::modules::Modules;
use packages::rpm::primary;
use packages::rpm::repomd::{Repomd, Signed};
use packages::rpm::{MetadataError, Part, Sha256, filelists, resolve};

use crate::upstream::{ARCH, Upstream, run, tools};

const SMALL: &str = "\
chrony 4.3-1 noarch
  File: /usr/sbin/chronyd
web 1-1 noarch
web 2-1 noarch
tool 1-1 noarch
tool 3-1 noarch
";

/// A key of gpg's, in a home of its own.
struct Signer {
    home: tempfile::TempDir,
}

impl Signer {
    fn new() -> Self {
        let signer = Self {
            home: tempfile::tempdir().unwrap(),
        };
        let key = [
            "--quick-generate-key",
            "kubexm test",
            "rsa2048",
            "sign",
            "never",
        ];
        run(signer.gpg().args(["--passphrase", ""]).args(key));
        signer
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--yes", "--quiet", "--homedir"])
            .arg(self.home.path());
        gpg
    }

    fn keyring(&self) -> Keyring {
        let key = run(self.gpg().args(["--armor", "--export"]));
        Keyring::from_armored([key.as_str()]).unwrap()
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let file = self.home.path().join("signed");
        fs::write(&file, bytes).unwrap();
        run(self.gpg().args(["--armor", "--detach-sign"]).arg(&file));
        fs::read(self.home.path().join("signed.asc")).unwrap()
    }

    fn sign_package(&self, file: &std::path::Path) {
        run(Command::new("rpmsign")
            .arg("--addsign")
            .args(["--define", "_gpg_name kubexm test"])
            .args(["--define", "__gpg /usr/bin/gpg"])
            .arg("--define")
            .arg(format!("_gpg_path {}", self.home.path().display()))
            .arg(file));
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"]);
        // What is left of an agent ends with its home.
        drop(end.output());
    }
}

/// How text is packed.
type Pack = fn(&[u8]) -> Vec<u8>;

/// A module's stream with one package.
fn stream(name: &str, stream: &str, artifact: &str) -> String {
    format!(
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: {name}\n  stream: {stream}\n  version: 1\n  context: c0ffee00\n  \
         arch: noarch\n  summary: a\n  description: b\n  license:\n    module: [MIT]\n  artifacts:\n    rpms:\n    - {artifact}\n...\n"
    )
}

fn told(error: &MetadataError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn metadata_count_only_as_they_were_signed() {
    if !tools(&["rpmbuild", "createrepo_c", "gpg"]) {
        return;
    }
    let upstream = Upstream::build(SMALL);
    let (signer, other) = (Signer::new(), Signer::new());
    let (known, unknown) = (signer.keyring(), other.keyring());
    let now = Timestamp::now();
    let bytes = upstream.file("repodata/repomd.xml");
    let signature = signer.sign(&bytes);

    let repomd = Repomd::read(&bytes, Some(&signature), Signed::Metadata(&known), now).unwrap();
    let read = |bytes: &[u8], signature: Option<&[u8]>, keyring: &Keyring| {
        Repomd::read(bytes, signature, Signed::Metadata(keyring), now).unwrap_err()
    };
    insta::assert_snapshot!(told(&read(&bytes, None, &known)), @r"
    repomd.xml is not signed: there is no repomd.xml.asc beside it
    hint: if this distribution signs its packages alone, the table of systems says so with 'signed: packages'; otherwise the mirror is not complete
    ");
    let changed = String::from_utf8(bytes.clone())
        .unwrap()
        .replace("<size>", "<size>1");
    let error = told(&read(changed.as_bytes(), Some(&signature), &known));
    assert!(
        error.contains("the text was changed after it was signed"),
        "{error}"
    );
    let error = told(&read(&bytes, Some(&signature), &unknown));
    assert!(error.contains("which is none of the known keys"), "{error}");

    let part = repomd.primary().unwrap();
    let mut stored = upstream.stored(part);
    assert_eq!(primary::read(part, &stored, ARCH).unwrap().len(), 5);
    let last = stored.len() - 1;
    stored[last] ^= 1;
    let error = primary::read(part, &stored, ARCH).unwrap_err();
    assert!(matches!(&error, MetadataError::Checksum { expected, .. } if *expected == part.sha256));
    assert!(
        told(&error).contains("hint: the mirror may be in the middle of an update"),
        "{error}"
    );
}

#[test]
fn metadata_are_what_repomd_says_however_they_are_compressed() {
    let document = "<metadata><package><name>a</name></package></metadata>";
    let read = |location: &str, stored: &[u8], open: &str, open_size: usize| {
        let repomd = format!(
            "<repomd><data type='primary'><checksum type='sha256'>{}</checksum>\
             <open-checksum type='sha256'>{}</open-checksum><location href='{location}'/>\
             <open-size>{open_size}</open-size></data></repomd>",
            Sha256::of(stored),
            Sha256::of(open.as_bytes()),
        );
        let repomd = Repomd::read(repomd.as_bytes(), None, Signed::Packages, Timestamp::now())?;
        primary::read(repomd.primary()?, stored, ARCH).map(|packages| packages.len())
    };
    let zst = zstd::encode_all(document.as_bytes(), 3).unwrap();
    let size = document.len();
    assert_eq!(read("p.xml.zst", &zst, document, size).unwrap(), 0);
    assert_eq!(
        read("p.xml", document.as_bytes(), document, size).unwrap(),
        0
    );
    let errors = [
        read("p.xml.zst", &zst, "else", size),
        read("p.xml.zst", &zst, document, 9),
        read("p.xml.zst", &zst[..zst.len() - 4], document, size),
        read("p.xml.bz2", &zst, document, size),
        read("../p.xml.zst", &zst, document, size),
        read("p.xml", b"<metadata><package>", document, size),
    ];
    let errors = errors.map(|result| result.unwrap_err().to_string());
    insta::assert_snapshot!(errors.join("\n"), @r"
    p.xml.zst decompresses to the SHA-256 b27c83b09cc4f970ef7b889411cf698041edf2f55d8f8337ad9efd338f5dcafd, but repomd.xml says 7dd530c4d36da47cd33396718ef1fa1e8c0f7d91ee551d7fdc1c73aa65edb454
    p.xml.zst decompresses to more than the 9 bytes that repomd.xml says
    p.xml.zst cannot be decompressed: incomplete frame
    p.xml.bz2 is compressed in a way that is not known here; known are .gz, .xz and .zst
    repomd.xml is malformed at byte 268: '../p.xml.zst' lies outside of the repository
    p.xml is malformed at byte 19: it ends in the middle
    ");

    let weak = "<repomd><data type='primary'><checksum type='sha'>0</checksum><location href='p.xml'/></data></repomd>";
    let error = Repomd::read(weak.as_bytes(), None, Signed::Packages, Timestamp::now());
    insta::assert_snapshot!(error.unwrap_err().to_string(), @"repomd.xml is malformed at byte 93: primary has the checksum 'sha', not sha256");
    let empty = Repomd::read(b"<repomd/>", None, Signed::Packages, Timestamp::now()).unwrap();
    insta::assert_snapshot!(empty.primary().unwrap_err().to_string(), @"repomd.xml names no primary metadata");
}

#[test]
fn metadata_are_read_in_every_form_that_createrepo_writes() {
    if !tools(&["rpmbuild", "createrepo_c", "modifyrepo_c"]) {
        return;
    }
    let upstream = Upstream::build(SMALL);
    let wanted = BTreeSet::from(["/usr/sbin/chronyd".to_owned()]);
    let file = upstream.scratch.path().join("modules.yaml");
    fs::write(&file, stream("web", "\"2\"", "web-0:2-1.noarch")).unwrap();
    let mut add = Command::new("modifyrepo_c");
    add.args(["--mdtype=modules", "--no-compress"]).arg(&file);
    run(add.arg(upstream.root.join("repodata")));

    let repomd = upstream.repomd();
    let gz = repomd.primary().unwrap();
    assert!(gz.location.ends_with("primary.xml.gz"));
    let packages = upstream.packages();
    let files = repomd.filelists().unwrap();
    let found = filelists::read(files, &upstream.stored(files), &wanted).unwrap();
    assert_eq!((packages.len(), found.len()), (5, 1));
    let modules = repomd.modules().unwrap();
    assert!(modules.location.ends_with("modules.yaml"));
    let streams = Modules::read(modules, &upstream.stored(modules)).unwrap();

    // This createrepo_c writes no zstd, and newer ones may write no compression at all.
    let plain = |part: &Part| {
        let stored = upstream.stored(part);
        let mut text = Vec::new();
        match part.location.rsplit('.').next() {
            Some("gz") => drop(GzDecoder::new(stored.as_slice()).read_to_end(&mut text)),
            _ => text = stored,
        }
        text
    };
    let none: Pack = <[u8]>::to_vec;
    let zst: Pack = |text| zstd::encode_all(text, 3).unwrap();
    for (suffix, pack) in [("", none), (".zst", zst)] {
        let mut text = String::new();
        let mut stored = Vec::new();
        for (kind, part, name) in [
            ("primary", gz, "primary.xml"),
            ("filelists", files, "filelists.xml"),
            ("modules", modules, "modules.yaml"),
        ] {
            let packed = pack(&plain(part));
            let digest = Sha256::of(&packed);
            write!(text, "<data type='{kind}'><checksum type='sha256'>{digest}</checksum><location href='repodata/{name}{suffix}'/></data>").unwrap();
            stored.push(packed);
        }
        let text = format!("<repomd>{text}</repomd>");
        let now = Timestamp::now();
        let repomd = Repomd::read(text.as_bytes(), None, Signed::Packages, now).unwrap();
        let read = primary::read(repomd.primary().unwrap(), &stored[0], ARCH).unwrap();
        assert_eq!(read, packages, "{suffix}");
        let read = filelists::read(repomd.filelists().unwrap(), &stored[1], &wanted).unwrap();
        assert_eq!(read, found, "{suffix}");
        let read = Modules::read(repomd.modules().unwrap(), &stored[2]).unwrap();
        assert_eq!(read, streams, "{suffix}");
    }

    upstream.index(&["--compress-type=xz", "--general-compress-type=xz"]);
    let repomd = upstream.repomd();
    let files = repomd.filelists().unwrap();
    assert!(files.location.ends_with("filelists.xml.xz"));
    assert_eq!(upstream.packages(), packages);
    assert_eq!(
        filelists::read(files, &upstream.stored(files), &wanted).unwrap(),
        found
    );

    upstream.index(&[
        "--compress-type=bz2",
        "--general-compress-type=bz2",
        "--simple-md-filenames",
    ]);
    let repomd = upstream.repomd();
    let part = repomd.primary().unwrap();
    let error = primary::read(part, &upstream.stored(part), ARCH).unwrap_err();
    insta::assert_snapshot!(told(&error), @"repodata/primary.xml.bz2 is compressed in a way that is not known here; known are .gz, .xz and .zst");
}

#[test]
fn packages_may_lie_elsewhere_than_metadata() {
    if !tools(&["rpmbuild", "createrepo_c"]) {
        return;
    }
    let upstream = Upstream::build(SMALL);
    assert_eq!(upstream.packages()[0].base, None);
    upstream.index(&["--baseurl", "https://packages.example.org/some/"]);
    let package = &upstream.packages()[0];
    assert_eq!(
        (package.base.as_deref(), package.location.as_str()),
        (
            Some("https://packages.example.org/some"),
            "noarch/chrony-4.3-1.noarch.rpm"
        )
    );
    let (universe, wishes) = upstream.universe(&["chrony"]);
    let answer = resolve(&universe, &BTreeSet::new(), &wishes).unwrap();
    assert_eq!(answer.packages[0].at, package.base);

    let refused = |options: &[&str]| {
        upstream.index(&[options, &["--simple-md-filenames"]].concat());
        let repomd = upstream.repomd();
        let part = repomd.primary().unwrap();
        told(&primary::read(part, &upstream.stored(part), ARCH).unwrap_err())
    };
    let said = [
        refused(&["--baseurl", "media://1234#1"]),
        refused(&["--location-prefix", "../pool"]),
    ];
    for (said, cause) in said.iter().zip([
        "packages lie at 'media://1234#1', where they cannot be fetched from",
        "'../pool/noarch/chrony-4.3-1.noarch.rpm' lies outside of the repository",
    ]) {
        assert!(
            said.starts_with("repodata/primary.xml.gz is malformed at byte ")
                && said.ends_with(cause),
            "{said}"
        );
    }

    let elsewhere = "<repomd><data type='primary'><location xml:base='https://else.example' href='p.xml'/></data></repomd>";
    let error = Repomd::read(
        elsewhere.as_bytes(),
        None,
        Signed::Packages,
        Timestamp::now(),
    );
    insta::assert_snapshot!(told(&error.unwrap_err()), @"repomd.xml is malformed at byte 92: primary lies at 'https://else.example', outside of the repository");
}

#[test]
fn a_package_counts_only_as_it_was_signed() {
    if !tools(&["rpmbuild", "createrepo_c", "gpg", "rpmsign"]) {
        return;
    }
    let upstream = Upstream::build(SMALL);
    let (signer, other) = (Signer::new(), Signer::new());
    let now = Timestamp::now();
    let file: PathBuf = upstream.root.join("noarch/chrony-4.3-1.noarch.rpm");
    let judge = |keyring: &Keyring| {
        verify(
            "chrony.rpm",
            BufReader::new(File::open(&file).unwrap()),
            keyring,
            now,
        )
    };
    let error = judge(&signer.keyring()).unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    chrony.rpm is not signed
    hint: the mirror has another file than the distribution made, or it needs another key
    ");

    signer.sign_package(&file);
    judge(&signer.keyring()).unwrap();
    let error = judge(&other.keyring()).unwrap_err().to_string();
    assert!(error.contains("which is none of the known keys"), "{error}");

    let good = fs::read(&file).unwrap();
    let mut changed = good.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(&file, &changed).unwrap();
    assert!(matches!(
        judge(&signer.keyring()),
        Err(HeaderError::Payload { .. })
    ));

    let text = b"chrony & more";
    let summary = good
        .windows(text.len())
        .rposition(|window| window == text)
        .unwrap();
    changed.clone_from(&good);
    changed[summary] = b'k';
    fs::write(&file, &changed).unwrap();
    let error = judge(&signer.keyring()).unwrap_err().to_string();
    assert!(
        error.contains("the text was changed after it was signed"),
        "{error}"
    );

    fs::write(&file, b"no package").unwrap();
    assert!(matches!(
        judge(&signer.keyring()),
        Err(HeaderError::Malformed { .. })
    ));
}

#[test]
fn of_modules_the_default_streams_are_seen() {
    if !tools(&["rpmbuild", "createrepo_c", "modifyrepo_c"]) {
        return;
    }
    let upstream = Upstream::build(SMALL);
    let modules = stream("web", "\"2\"", "web-0:2-1.noarch")
        + &stream("tool", "1.0", "tool-0:1-1.noarch")
        + "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: tool\n  stream: 1.0\n  profiles:\n    1.0: [x]\n...\n";
    let file = upstream.scratch.path().join("modules.yaml");
    fs::write(&file, modules).unwrap();
    run(Command::new("modifyrepo_c")
        .arg("--mdtype=modules")
        .arg(&file)
        .arg(upstream.root.join("repodata")));

    let repomd = upstream.repomd();
    let part = repomd.modules().unwrap();
    let modules = Modules::read(part, &upstream.stored(part)).unwrap();
    let seen: Vec<String> = upstream
        .packages()
        .iter()
        .filter(|package| modules.shows(package))
        .map(|package| format!("{}-{}", package.name, package.evr))
        .collect();
    assert_eq!(seen, ["chrony-4.3-1", "tool-1-1", "web-1-1"]);
}
