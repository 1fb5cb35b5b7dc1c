//! A stand-in for Debian's archive: a handful of packages behind indexes that a key of the test's own signs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use artifact::Sha256;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Signer, Upstream, archive};

const SUITES: [&str; 3] = [
    "debian/dists/trixie",
    "debian/dists/trixie-updates",
    "debian-security/dists/trixie-security",
];
/// What a bare installation has, by the table of systems.
const BASE: [&str; 11] = [
    "apt",
    "bash",
    "ca-certificates",
    "dbus",
    "diffutils",
    "libc6",
    "mount",
    "openssh-server",
    "passwd",
    "systemd",
    "systemd-sysv",
];
/// What the needs of a node are called, beside the base.
const WANTED: [&str; 10] = [
    "conntrack",
    "ebtables",
    "ethtool",
    "iproute2",
    "ipset",
    "iptables",
    "ipvsadm",
    "kmod",
    "procps",
    "socat",
];

/// How an archive carries its signature.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// `InRelease`.
    Inline,
    /// `Release` and `Release.gpg`, in armor as Debian's own.
    Pair,
}

/// The archive, and the key that signs it.
pub(crate) struct Debian {
    signer: Signer,
    /// Further fields of each package, by its name.
    packages: BTreeMap<String, String>,
    pub(crate) valid_until: Option<&'static str>,
    pub(crate) form: Form,
}

impl Debian {
    pub(crate) fn new() -> Self {
        let mut packages = BTreeMap::new();
        for name in BASE {
            packages.insert(name.to_owned(), "Priority: required\n".to_owned());
        }
        for name in WANTED {
            packages.insert(
                name.to_owned(),
                "Depends: libc6 (>= 1), libmnl0\n".to_owned(),
            );
        }
        packages.insert("libmnl0".to_owned(), String::new());
        Self {
            signer: Signer::new(),
            packages,
            valid_until: None,
            form: Form::Inline,
        }
    }

    pub(crate) fn with(mut self, name: &str, fields: &str) -> Self {
        self.packages.insert(name.to_owned(), fields.to_owned());
        self
    }

    pub(crate) fn key(&self) -> String {
        self.signer.key()
    }

    /// Has an upstream serve it, signed as it is now.
    pub(crate) fn publish(&self, upstream: &Upstream) {
        let mut index = String::new();
        for (name, fields) in &self.packages {
            let deb = deb(name, fields);
            let file = format!("pool/main/{name}_1.0-1_amd64.deb");
            let (size, sha256) = (deb.len(), Sha256::of(&deb));
            let control = control(name, fields);
            writeln!(
                index,
                "{control}Filename: {file}\nSize: {size}\nSHA256: {sha256}\n"
            )
            .unwrap();
            upstream.put(&format!("/deb.debian.org/debian/{file}"), &deb);
        }
        for (suite, text) in SUITES.into_iter().zip([index.as_str(), "", ""]) {
            let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
            gz.write_all(text.as_bytes()).unwrap();
            let packed = gz.finish().unwrap();
            let until = self
                .valid_until
                .map_or_else(String::new, |date| format!("Valid-Until: {date}\n"));
            let (size, sha256) = (packed.len(), Sha256::of(&packed));
            let release = format!(
                "Origin: Debian\nCodename: {}\nDate: Sat, 15 Nov 2025 09:31:14 UTC\n{until}SHA256:\n {sha256} {size} main/binary-amd64/Packages.gz\n",
                suite.rsplit('/').next().unwrap()
            );
            let put = |name: &str, content: &[u8]| {
                upstream.put(&format!("/deb.debian.org/{suite}/{name}"), content);
            };
            match self.form {
                Form::Inline => put("InRelease", &self.signer.clear_sign(release.as_bytes())),
                Form::Pair => {
                    put("Release", release.as_bytes());
                    put("Release.gpg", &self.signer.detach_sign(release.as_bytes()));
                }
            }
            put("main/binary-amd64/Packages.gz", &packed);
        }
    }
}

fn control(name: &str, fields: &str) -> String {
    format!("Package: {name}\nVersion: 1.0-1\nArchitecture: amd64\n{fields}")
}

/// A package without any file.
fn deb(name: &str, fields: &str) -> Vec<u8> {
    let control = archive(&[("./control", 0o644, control(name, fields).as_bytes())]);
    let mut deb = b"!<arch>\n".to_vec();
    for (member, content) in [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", control),
        ("data.tar.gz", archive(&[])),
    ] {
        let size = content.len();
        deb.extend(
            format!(
                "{member:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                0, 0, 0, 100_644
            )
            .bytes(),
        );
        deb.extend(&content);
        deb.extend(vec![b'\n'; size % 2]);
    }
    deb
}
