//! A stand-in for the repositories of systems with RPM: a handful of packages, built and indexed with the tools that
//! distributions use, behind a key of the test's own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use catalogue::{Signed, Source, Systems};
use cluster::Arch;
use tempfile::TempDir;

use super::signer::{Signer, run};
use super::upstream::Upstream;

/// What a bare installation has, by the table of systems, of whichever of them.
const BASE: [&str; 13] = [
    "basesystem",
    "bash",
    "ca-certificates",
    "coreutils",
    "dnf",
    "filesystem",
    "glibc",
    "openssh-server",
    "rpm",
    "setup",
    "shadow",
    "shadow-utils",
    "util-linux",
];
/// What the needs of a node are called, beside the base.
const WANTED: [&str; 14] = [
    "conntrack-tools",
    "container-selinux",
    "diffutils",
    "ebtables",
    "ethtool",
    "iproute",
    "iproute-tc",
    "ipset",
    "iptables",
    "iptables-nft",
    "ipvsadm",
    "kmod",
    "procps-ng",
    "socat",
];

/// The repositories, and the key that signs them.
pub(crate) struct RedHat {
    signer: Signer,
    /// What the second of the repositories has, with further lines of the spec file.
    more: Vec<(String, String)>,
    /// What the second repository says of module streams.
    pub(crate) modules: Option<&'static str>,
    /// What the packages themselves are signed with, where they are.
    pub(crate) packages_signed: Option<Signer>,
    /// Where the packages themselves lie, if not beside their metadata.
    pub(crate) elsewhere: Option<&'static str>,
}

impl RedHat {
    pub(crate) fn new() -> Self {
        Self {
            signer: Signer::new(),
            more: Vec::new(),
            modules: None,
            packages_signed: None,
            elsewhere: None,
        }
    }

    pub(crate) fn with(mut self, name: &str, lines: &str) -> Self {
        self.more.push((name.to_owned(), lines.to_owned()));
        self
    }

    pub(crate) fn key(&self) -> String {
        self.signer.key()
    }

    /// Has an upstream serve it as the repositories of a system.
    pub(crate) fn publish(&self, upstream: &Upstream, os: &str) {
        let systems = Systems::builtin();
        let system = systems.system(&os.parse().unwrap()).unwrap();
        let Source::Rpm {
            signed,
            repositories,
            ..
        } = system.source(Arch::Amd64)
        else {
            panic!("{os} has no RPM");
        };
        let mut first = Spec::default();
        for name in BASE {
            first.add(name, "");
        }
        // A file that no primary metadata lists: the base is not known before it is looked up.
        first.add("systemd", "Requires: /usr/share/dbus-1/session.conf");
        first.add("dbus-common", "File: /usr/share/dbus-1/session.conf");
        for name in WANTED {
            first.add(name, "Requires: glibc >= 1, libmnl");
        }
        first.add("libmnl", "");
        let mut second = Spec {
            modules: self.modules,
            ..Spec::default()
        };
        for (name, lines) in &self.more {
            second.add(name, lines);
        }
        let specs = [first, second].into_iter();
        for (at, spec) in repositories
            .iter()
            .zip(specs.chain(std::iter::repeat_with(Spec::default)))
        {
            let path = at.trim_start_matches("https:/");
            self.repository(upstream, path, signed, &spec);
        }
    }

    fn repository(&self, upstream: &Upstream, at: &str, signed: Signed, spec: &Spec) {
        let scratch = TempDir::new().unwrap();
        let root = scratch.path().join("root");
        fs::create_dir(&root).unwrap();
        spec.build(scratch.path(), &root);
        if let Some(signer) = &self.packages_signed {
            for file in files(&root) {
                signer.sign_rpm(&file);
            }
        }
        let mut index = Command::new("createrepo_c");
        index.arg("--quiet").arg(&root);
        if let Some(address) = self.elsewhere {
            index.args(["--baseurl", address]);
        }
        run(&mut index);
        if let Some(modules) = spec.modules {
            let file = scratch.path().join("modules.yaml");
            fs::write(&file, modules).unwrap();
            let mut add = Command::new("modifyrepo_c");
            run(add
                .arg("--mdtype=modules")
                .arg(file)
                .arg(root.join("repodata")));
        }
        for file in files(&root) {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
            let packages = self
                .elsewhere
                .map(|address| address.trim_start_matches("https:/").trim_end_matches('/'));
            let is_rpm = file.extension().is_some_and(|kind| kind == "rpm");
            let at = packages.filter(|_| is_rpm).unwrap_or(at);
            upstream.put(&format!("{at}/{path}"), &fs::read(&file).unwrap());
        }
        if signed == Signed::Metadata {
            let repomd = fs::read(root.join("repodata/repomd.xml")).unwrap();
            let signature = self.signer.detach_sign(&repomd);
            upstream.put(&format!("{at}/repodata/repomd.xml.asc"), &signature);
        }
    }
}

/// Every file below a directory.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// A repository's packages, from a spec file with each of them.
#[derive(Default)]
struct Spec {
    packages: String,
    install: String,
    modules: Option<&'static str>,
}

const HEAD: &str = "\
Name: upstream
Version: 1.0
Release: 1
Summary: what all packages come from
License: none
BuildArch: noarch
AutoReqProv: no
%description
Nothing.
";

impl Spec {
    fn add(&mut self, name: &str, lines: &str) {
        let (mut tags, mut files) = (String::new(), String::new());
        for line in lines.lines() {
            match line.strip_prefix("File: ") {
                Some(file) => {
                    writeln!(
                        self.install,
                        "mkdir -p $(dirname %{{buildroot}}{file}) && echo > %{{buildroot}}{file}"
                    )
                    .unwrap();
                    writeln!(files, "{file}").unwrap();
                }
                None => writeln!(tags, "{line}").unwrap(),
            }
        }
        write!(
            self.packages,
            "%package -n {name}\nSummary: {name}\nAutoReqProv: no\n{tags}%description -n {name}\nNothing.\n%files -n {name}\n{files}"
        )
        .unwrap();
    }

    fn build(&self, scratch: &Path, into: &Path) {
        if self.packages.is_empty() {
            return;
        }
        let spec = scratch.join("upstream.spec");
        let Self {
            packages, install, ..
        } = self;
        fs::write(&spec, format!("{HEAD}{packages}%install\n{install}")).unwrap();
        let defined = [
            ("_topdir", &scratch.join("build")),
            ("_rpmdir", &into.into()),
        ];
        let mut build = Command::new("rpmbuild");
        for (name, path) in defined {
            build.arg("--define");
            build.arg(format!("{name} {}", path.display()));
        }
        run(build.args(["-bb", "--quiet"]).arg(&spec));
    }
}
