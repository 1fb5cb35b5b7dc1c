//! Signatures, judged by OpenSSH itself in both directions.

mod common;

use std::fs::File;
use std::process::{Command, Stdio};

use artifact::{
    Bundle, NAMESPACE, Principal, Purpose, SignError, SignatureError, Signer, verify_signature,
};
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Zoned;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::common::Site;

/// A folder with keys of ssh-keygen's making.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.0.path()).unwrap().join(name)
    }

    fn make(&self, name: &str, kind: &str, passphrase: &str) -> String {
        let path = self.path(name);
        ssh_keygen(
            &[
                "-q",
                "-t",
                kind,
                "-N",
                passphrase,
                "-C",
                "release",
                "-f",
                path.as_str(),
            ],
            None,
        );
        std::fs::read_to_string(path).unwrap()
    }

    /// `KEYTYPE KEY`
    fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.pub")))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Signs as people do: `ssh-keygen -Y sign`.
    fn sign(&self, name: &str, namespace: &str, message: &[u8]) -> Vec<u8> {
        let file = self.path("message");
        std::fs::write(&file, message).unwrap();
        let signature = self.path("message.sig");
        let _ = std::fs::remove_file(&signature);
        let key = self.path(name);
        ssh_keygen(
            &[
                "-q",
                "-Y",
                "sign",
                "-f",
                key.as_str(),
                "-n",
                namespace,
                file.as_str(),
            ],
            None,
        );
        std::fs::read(signature).unwrap()
    }
}

fn ssh_keygen(arguments: &[&str], stdin: Option<&Utf8Path>) {
    let stdin = stdin.map_or_else(Stdio::null, |path| File::open(path).unwrap().into());
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .stdin(stdin)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "ssh-keygen {arguments:?}: {output:?}"
    );
}

fn now() -> Zoned {
    "2026-11-21T12:00:00+01:00[+01:00]".parse().unwrap()
}

fn check(signature: &[u8], signers: &str) -> Result<Principal, SignatureError> {
    verify_signature(Purpose::Bundle, b"{}", Some(signature), signers, &now())
}

fn refusal(signature: &[u8], signers: &str) -> String {
    let error = check(signature, signers).unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error}\n  hint: {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn openssh_agrees_with_what_we_sign() {
    for (kind, passphrase) in [("ed25519", ""), ("ecdsa", ""), ("ed25519", "open sesame")] {
        let keys = Keys::new();
        let text = keys.make("key", kind, passphrase);
        let passphrase = SecretString::from(passphrase);
        let signer = Signer::from_openssh_key(&text, Some(&passphrase)).unwrap();
        let site = Site::small();
        site.pack_as("bundle.tar.zst", 1, Some(&signer)).unwrap();

        // As the operator would: both members taken out by tar.
        let path = site.path("bundle.tar.zst");
        let out = site.path("");
        let status = Command::new("tar")
            .args([
                "--zstd",
                "-xf",
                path.as_str(),
                "-C",
                out.as_str(),
                "bundle.json",
                "bundle.json.sig",
            ])
            .status()
            .unwrap();
        assert!(status.success());
        let signers = format!("release@example.org {}\n", keys.public("key"));
        std::fs::write(site.path("signers"), &signers).unwrap();
        ssh_keygen(
            &[
                "-Y",
                "verify",
                "-f",
                site.path("signers").as_str(),
                "-I",
                "release@example.org",
                "-n",
                NAMESPACE,
                "-s",
                site.path("bundle.json.sig").as_str(),
            ],
            Some(&site.path("bundle.json")),
        );
        let bundle = Bundle::open(&path).unwrap();
        assert_eq!(
            bundle.signed_by(&signers, &now()).unwrap().name,
            "release@example.org"
        );
    }
}

#[test]
fn we_agree_with_what_openssh_signs() {
    for kind in ["ed25519", "ecdsa"] {
        let keys = Keys::new();
        keys.make("key", kind, "");
        let signature = keys.sign("key", NAMESPACE, b"{}");
        let principal = check(&signature, &format!("ops {}", keys.public("key"))).unwrap();
        assert_eq!(principal.name, "ops");
        assert!(principal.fingerprint.starts_with("SHA256:"));
    }
}

#[test]
fn each_way_not_to_be_signed_has_its_own_words() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "");
    keys.make("other", "ed25519", "");
    keys.make("rsa", "rsa", "");
    let (key, other) = (keys.public("key"), keys.public("other"));
    let good = keys.sign("key", NAMESPACE, b"{}");
    let signers = format!("ops {key}");
    let fingerprint = check(&good, &signers).unwrap().fingerprint;

    let unsigned = verify_signature(Purpose::Bundle, b"{}", None, &signers, &now()).unwrap_err();
    let mut report = vec![format!("{unsigned}\n  hint: {}", unsigned.hint().unwrap())];
    report.push(refusal(&good, &format!("ops {other}")));
    report.push(refusal(&good, ""));
    report.push(refusal(&keys.sign("key", "file", b"{}"), &signers));
    report.push(refusal(&keys.sign("key", NAMESPACE, b"{ }"), &signers));
    report.push(refusal(
        b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n",
        &signers,
    ));
    report.push(refusal(b"signed, the boss", &signers));
    report.push(refusal(&keys.sign("rsa", NAMESPACE, b"{}"), &signers));
    insta::assert_snapshot!(report.join("\n").replace(&fingerprint, "SHA256:..."), @r#"
    the bundle is not signed
      hint: sign it when it is made: `kubexm bundle --sign KEY`
    the bundle is signed by an unknown key, SHA256:...
      hint: if you trust that key, add a line `NAME namespaces="kubexm-bundle" KEYTYPE KEY` to the signers file
    the bundle is signed by an unknown key, SHA256:...
      hint: if you trust that key, add a line `NAME namespaces="kubexm-bundle" KEYTYPE KEY` to the signers file
    the signature was made for 'file', not for 'kubexm-bundle'
      hint: sign with `kubexm bundle --sign KEY` or `ssh-keygen -Y sign -n kubexm-bundle`
    the signature does not fit bundle.json: one of them was changed
      hint: do not use this bundle; ask its maker for a new copy
    bundle.json.sig is not an armoured SSH signature
      hint: do not use this bundle; ask its maker for a new copy
    bundle.json.sig does not begin with '-----BEGIN SSH SIGNATURE-----'
      hint: do not use this bundle; ask its maker for a new copy
    the signature's key type ssh-rsa is not supported
      hint: sign with an ed25519 or ECDSA key
    "#);
}

#[test]
fn an_armour_begins_at_the_first_byte_as_ssh_keygen_has_it() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "");
    let signed = keys.sign("key", NAMESPACE, b"{}");
    let signers = format!("ops {}", keys.public("key"));
    check(&signed, &signers).unwrap();
    let refused = |before: &[u8]| refusal(&[before, &signed].concat(), &signers);
    let said = refused(b"read this first\n");
    assert_eq!(said, refused(b"\n"));
    assert_eq!(said, refusal(b"", &signers));
    insta::assert_snapshot!(said, @"
    bundle.json.sig does not begin with '-----BEGIN SSH SIGNATURE-----'
      hint: do not use this bundle; ask its maker for a new copy
    ");
}

#[test]
fn options_of_the_signers_file_hold() {
    let keys = Keys::new();
    keys.make("key", "ed25519", "");
    let key = keys.public("key");
    let signature = keys.sign("key", NAMESPACE, b"{}");
    let line = |options: &str| format!("# who may sign\n\n\"ops,dev\" {options} {key}\n");
    for options in [
        "",
        "namespaces=\"kubexm-bundle\"",
        "namespaces=\"git,kubexm-*\"",
        "NAMESPACES=\"kubexm-bundl?\",valid-after=\"20260101\"",
        "valid-after=\"20261121115959\",valid-before=\"20261121120001\"",
        "valid-after=\"202611211059Z\",valid-before=\"202611211101Z\"",
    ] {
        assert_eq!(
            check(&signature, &line(options)).unwrap().name,
            "ops,dev",
            "{options}"
        );
    }
    let report: Vec<String> = [
        "namespaces=\"git\"",
        "namespaces=\"*,!kubexm-bundle\"",
        "valid-before=\"20261121\"",
        "valid-after=\"20261121120001\"",
        "valid-after=\"tomorrow\"",
        "valid-after=\"20261332\"",
        "cert-authority",
        "no-such-option",
        "ssh-ed25519",
    ]
    .iter()
    .map(|options| refusal(&signature, &line(options)))
    .collect();
    insta::assert_snapshot!(report.join("\n"), @"
    ops,dev may not sign bundles: the signers file allows that key only for 'git'
    ops,dev may not sign bundles: the signers file allows that key only for '*,!kubexm-bundle'
    ops,dev may not sign bundles: that key was valid only before 2026-11-20T23:00:00Z
    ops,dev may not sign bundles: that key is valid only after 2026-11-21T11:00:01Z
    signers file: line 3: 'tomorrow' is no time: YYYYMMDD[HHMM[SS]][Z] expected
    signers file: line 3: '20261332' is no time: YYYYMMDD[HHMM[SS]][Z] expected
    signers file: line 3: certificates (cert-authority) are not supported: list the signing key itself
    signers file: line 3: unknown option 'no-such-option'
    signers file: line 3: unknown option 'ssh-ed25519'
    ");

    // A line that does not hold does not spoil one that does.
    let both = [line("namespaces=\"git\""), line("")].concat();
    check(&signature, &both).unwrap();
}

#[test]
fn keys_that_cannot_sign_say_why() {
    let keys = Keys::new();
    let locked = keys.make("locked", "ed25519", "open sesame");
    let rsa = keys.make("rsa", "rsa", "");
    let refused = |text: &str, passphrase: Option<&str>| {
        let passphrase = passphrase.map(SecretString::from);
        let error: SignError = Signer::from_openssh_key(text, passphrase.as_ref()).unwrap_err();
        format!("{error}\n  hint: {}", error.hint().unwrap_or_default())
    };
    let report = [
        refused(&locked, None),
        refused(&locked, Some("abracadabra")),
        refused(&rsa, None),
        refused(&keys.public("rsa"), None),
        refused("", None),
    ];
    insta::assert_snapshot!(report.join("\n"), @"
    the signing key is protected by a passphrase, and none was given
      hint: 
    the passphrase of the signing key is wrong
      hint: 
    ssh-rsa keys cannot sign a bundle
      hint: make one with `ssh-keygen -t ed25519`
    this is not an OpenSSH private key
      hint: give the private key (not the .pub file) in OpenSSH format; `ssh-keygen -p -f KEY` converts a PEM key
    this is not an OpenSSH private key
      hint: give the private key (not the .pub file) in OpenSSH format; `ssh-keygen -p -f KEY` converts a PEM key
    ");
    let signer = Signer::from_openssh_key(&locked, Some(&SecretString::from("open sesame")));
    let shown = format!("{:?}", signer.unwrap());
    assert!(shown.starts_with("Signer(\"SHA256:"), "{shown}");
}
