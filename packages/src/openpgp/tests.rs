//! The signatures are made by gpg: what it signs is what archives are signed with.

use std::path::Path;
use std::process::{Command, Stdio};

use insta::assert_snapshot;

use super::*;

struct Gpg(tempfile::TempDir);

impl Gpg {
    /// A certificate with a primary key that certifies and a subkey that signs, as the keys of archives are.
    fn new(primary: &str, subkey: Option<&str>) -> Self {
        // gpg-agent's socket must have a short path.
        let gpg = Self(tempfile::tempdir_in("/tmp").unwrap());
        let usage = if subkey.is_some() {
            "cert"
        } else {
            "cert,sign"
        };
        gpg.run(
            &[
                "--quick-gen-key",
                "Archive <archive@example>",
                "ed25519",
                usage,
                primary,
            ],
            b"",
        );
        if let Some(expire) = subkey {
            let fingerprint = gpg.fingerprint();
            gpg.run(
                &["--quick-add-key", &fingerprint, "ed25519", "sign", expire],
                b"",
            );
        }
        gpg
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let input = self.0.path().join("input");
        std::fs::write(&input, stdin).unwrap();
        let output = Command::new("gpg")
            .args([
                "--batch",
                "--quiet",
                "--no-tty",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                "",
            ])
            .arg("--homedir")
            .arg(self.0.path())
            .args(args)
            .stdin(std::fs::File::open(&input).unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "gpg {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    fn fingerprint(&self) -> String {
        let colons = self.run(&["--list-keys", "--with-colons"], b"");
        let colons = String::from_utf8(colons).unwrap();
        let line = colons
            .lines()
            .find(|line| line.starts_with("fpr:"))
            .unwrap();
        line.split(':').nth(9).unwrap().to_owned()
    }

    fn public(&self) -> String {
        String::from_utf8(self.run(&["--armor", "--export"], b"")).unwrap()
    }

    fn keyring(&self) -> Keyring {
        Keyring::from_armored([self.public().as_str()]).unwrap()
    }

    /// Runs as if it were another day, `20200102T030405!`, at which its clock stands still.
    fn at<'a>(time: &'a str, args: &[&'a str]) -> Vec<&'a str> {
        [&["--faked-system-time", time][..], args].concat()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.0.path())
            .args(["--kill", "all"])
            .status();
    }
}

const TEXT: &[u8] =
    b"Origin: Example\nSuite: stable\n\n- dashes\nSHA256:\n abc 1 main/Packages  \n";

fn now() -> Timestamp {
    Timestamp::now()
}

fn hide(text: &str, keyring: &Keyring) -> String {
    keyring
        .ids()
        .iter()
        .enumerate()
        .fold(text.to_owned(), |text, (n, id)| {
            text.replace(id, &format!("KEY{n}"))
        })
}

#[test]
fn a_clear_signed_text_is_given_back_as_it_was_signed() {
    for gpg in [Gpg::new("0", Some("1y")), Gpg::new("1y", None)] {
        let message = gpg.run(&["--clearsign"], TEXT);
        let text = gpg.keyring().verify_cleartext(&message, now()).unwrap();
        assert_eq!(
            text,
            "Origin: Example\nSuite: stable\n\n- dashes\nSHA256:\n abc 1 main/Packages"
        );
    }
}

#[test]
fn a_detached_signature_is_good_armored_and_binary() {
    let gpg = Gpg::new("0", Some("0"));
    let keyring = gpg.keyring();
    let [armored, binary] = ["--armor", "--no-armor"].map(|form| {
        let signature = gpg.run(&[form, "--detach-sign"], TEXT);
        keyring.verify_detached(TEXT, &signature, now()).unwrap();
        keyring
            .verify_detached(b"Origin: Other\n", &signature, now())
            .unwrap_err()
    });
    assert_eq!(armored, binary);
    assert!(matches!(armored, SignatureError::Bad { .. }));
    assert_snapshot!(
        hide(&armored.to_string(), &keyring),
        @"the signature of key KEY0 does not fit: the text was changed after it was signed"
    );
}

#[test]
fn a_changed_text_is_no_longer_signed() {
    let gpg = Gpg::new("0", None);
    let keyring = gpg.keyring();
    let message = String::from_utf8(gpg.run(&["--clearsign"], TEXT)).unwrap();
    let changed = message.replace("stable", "better");
    let error = keyring
        .verify_cleartext(changed.as_bytes(), now())
        .unwrap_err();
    assert!(matches!(error, SignatureError::Bad { .. }));
    for (text, why) in [
        (format!("Origin: Other\n\n{message}"), "before"),
        (format!("{message}\nOrigin: Other\n"), "behind"),
        (
            message.replace("-----BEGIN PGP SIGNATURE-----", ""),
            "without a signature",
        ),
        (String::new(), "empty"),
    ] {
        let error = keyring
            .verify_cleartext(text.as_bytes(), now())
            .unwrap_err();
        assert!(
            matches!(error, SignatureError::Malformed { .. }),
            "{why}: {error}"
        );
    }
}

#[test]
fn a_key_that_is_not_known_is_named_with_those_that_are() {
    let (archive, other) = (Gpg::new("0", None), Gpg::new("0", None));
    let keyring = archive.keyring();
    let message = other.run(&["--clearsign"], TEXT);
    let error = keyring.verify_cleartext(&message, now()).unwrap_err();
    let said = error
        .to_string()
        .replace(&other.keyring().ids()[0], "OTHER");
    assert_snapshot!(hide(&said, &keyring), @r"signed by OTHER, which is none of the known keys: KEY0");
    assert!(error.hint().is_some());

    // With both keys known, from texts with several blocks, it is good.
    let both = archive.public() + &other.public();
    Keyring::from_armored([both.as_str()])
        .unwrap()
        .verify_cleartext(&message, now())
        .unwrap();
}

#[test]
fn one_good_signature_of_two_is_enough() {
    let (archive, other) = (Gpg::new("0", None), Gpg::new("0", None));
    let mut signatures = other.run(&["--detach-sign"], TEXT);
    signatures.extend(archive.run(&["--detach-sign"], TEXT));
    archive
        .keyring()
        .verify_detached(TEXT, &signatures, now())
        .unwrap();
}

#[test]
fn a_key_signs_well_as_long_as_it_lives_and_its_signatures_outlive_it() {
    let gpg = Gpg(tempfile::tempdir_in("/tmp").unwrap());
    gpg.run(
        &Gpg::at(
            "20200101T000000!",
            &["--quick-gen-key", "Archive", "ed25519", "cert,sign", "30d"],
        ),
        b"",
    );
    let keyring = gpg.keyring();
    let signature = gpg.run(&Gpg::at("20200120T000000!", &["--detach-sign"]), TEXT);
    keyring.verify_detached(TEXT, &signature, now()).unwrap();

    let before: Timestamp = "2020-01-19T00:00:00Z".parse().unwrap();
    let error = keyring
        .verify_detached(TEXT, &signature, before)
        .unwrap_err();
    assert_snapshot!(hide(&error.to_string(), &keyring), @r"the signature of key KEY0 is of 2020-01-20T00:00:00Z, and it is 2020-01-19T00:00:00Z");
    assert!(error.hint().is_some());
}

#[test]
fn what_a_key_signs_after_its_end_is_worth_nothing() {
    let gpg = Gpg(tempfile::tempdir_in("/tmp").unwrap());
    let generate = ["--quick-gen-key", "Archive", "ed25519", "cert,sign", "0"];
    gpg.run(&Gpg::at("20200101T000000!", &generate), b"");
    let signature = gpg.run(&Gpg::at("20200601T000000!", &["--detach-sign"]), TEXT);
    gpg.keyring()
        .verify_detached(TEXT, &signature, now())
        .unwrap();

    // gpg refuses to sign with such a key, so its end is brought forward.
    let shorten = ["--quick-set-expire", &gpg.fingerprint(), "10d"];
    gpg.run(&Gpg::at("20200301T000000!", &shorten), b"");
    let keyring = gpg.keyring();
    let error = keyring
        .verify_detached(TEXT, &signature, now())
        .unwrap_err();
    assert_snapshot!(hide(&error.to_string(), &keyring), @r"key KEY0 expired on 2020-03-11T00:00:00Z, and signed this on 2020-06-01T00:00:00Z");
}

#[test]
fn a_signature_may_end_by_itself() {
    let gpg = Gpg::new("0", None);
    let keyring = gpg.keyring();
    let args = ["--default-sig-expire", "2d", "--detach-sign"];
    let signature = gpg.run(&args, TEXT);
    keyring.verify_detached(TEXT, &signature, now()).unwrap();
    let later = now() + SignedDuration::from_hours(72);
    let error = keyring
        .verify_detached(TEXT, &signature, later)
        .unwrap_err();
    assert!(matches!(&error, SignatureError::ExpiredSignature { expired, .. } if *expired < later));
    assert!(error.to_string().contains("was good until"), "{error}");
}

#[test]
fn a_revoked_key_is_refused() {
    let gpg = Gpg::new("0", None);
    let signature = gpg.run(&["--detach-sign"], TEXT);
    let revocations = gpg.0.path().join("openpgp-revocs.d");
    let revocation = std::fs::read_dir(revocations)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    // The file guards against accidents with a colon before the block.
    let text = std::fs::read_to_string(revocation)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    gpg.run(&["--import"], text.as_bytes());
    let keyring = gpg.keyring();
    let error = keyring
        .verify_detached(TEXT, &signature, now())
        .unwrap_err();
    assert!(matches!(error, SignatureError::RevokedKey { .. }));
    assert!(error.to_string().contains("was revoked on"), "{error}");
}

#[test]
fn weak_hashes_prove_nothing() {
    let gpg = Gpg(tempfile::tempdir_in("/tmp").unwrap());
    gpg.run(
        &["--quick-gen-key", "Archive", "rsa2048", "cert,sign", "0"],
        b"",
    );
    let keyring = gpg.keyring();
    let args = [
        "--digest-algo",
        "SHA1",
        "--weak-digest",
        "MD5",
        "--detach-sign",
    ];
    let signature = gpg.run(&args, TEXT);
    let error = keyring
        .verify_detached(TEXT, &signature, now())
        .unwrap_err();
    assert_snapshot!(hide(&error.to_string(), &keyring), @r"the signature of key KEY0 rests on SHA1, which no longer proves anything");
    let signature = gpg.run(&["--digest-algo", "SHA512", "--detach-sign"], TEXT);
    keyring.verify_detached(TEXT, &signature, now()).unwrap();
}

#[test]
fn what_is_no_key_is_no_keyring() {
    let refused = |text: &str| Keyring::from_armored([text]).unwrap_err().to_string();
    assert_snapshot!(refused("nothing"), @r#"cannot read a public key: there is no "-----BEGIN PGP PUBLIC KEY BLOCK-----" in it"#);
    assert_eq!(Keyring::from_armored([]).unwrap_err(), KeyringError::Empty);
    assert_snapshot!(KeyringError::Empty.to_string(), @r"none of the keys may sign");
}

#[test]
fn debian_signs_with_what_can_be_read() {
    let path = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return;
    }
    let armored = Command::new("gpg")
        .arg("--enarmor")
        .arg("-o-")
        .arg(path)
        .output()
        .unwrap()
        .stdout;
    let armored = String::from_utf8(armored)
        .unwrap()
        .replace("ARMORED FILE", "PUBLIC KEY BLOCK");
    assert!(
        Keyring::from_armored([armored.as_str()])
            .unwrap()
            .ids()
            .len()
            > 4
    );
}
