//! A repository made with the tools that distributions make theirs with: rpmbuild and `createrepo_c`.
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use packages::answer::Carried;
use packages::rpm::primary::{self, Package};
use packages::rpm::repomd::{Repomd, Signed};
use packages::rpm::universe::Universe;
use packages::rpm::{Part, filelists};
use packages::solve::Wish;

pub const ARCH: &str = "x86_64";

/// What its systems have from the beginning.
pub const BASE: [&str; 11] = [
    "setup",
    "filesystem",
    "glibc",
    "glibc-common",
    "bash",
    "coreutils",
    "shadow-utils",
    "systemd",
    "libselinux",
    "selinux-policy",
    "selinux-policy-targeted",
];

/// Whether the real tools are here; tells what is skipped where they are not.
pub fn tools(needed: &[&str]) -> bool {
    let missing: Vec<&&str> = needed
        .iter()
        .filter(|tool| !Path::new("/usr/bin").join(tool).exists())
        .collect();
    if !missing.is_empty() {
        eprintln!("skipped: no {missing:?} in /usr/bin; tests/setup.sh installs what is missing");
    }
    missing.is_empty()
}

/// Whether packages can be installed into a root of their own; tells where they cannot.
pub fn root() -> bool {
    let root = run(Command::new("id").arg("-u")).trim() == "0";
    if !root {
        eprintln!("skipped: only root can install packages");
    }
    root
}

/// Runs to success, and gives what was printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {error}{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A directory with packages and `repodata/`.
pub struct Upstream {
    pub scratch: tempfile::TempDir,
    pub root: PathBuf,
    pub names: Vec<String>,
}

impl Upstream {
    /// Builds what `text` describes.
    pub fn build(text: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("upstream");
        fs::create_dir(&root).unwrap();
        // A spec file cannot have two versions of a name.
        let mut specs: Vec<Spec> = Vec::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for stanza in stanzas(text) {
            let generation = seen
                .entry(stanza[0].split(' ').next().unwrap())
                .or_default();
            if specs.len() == *generation {
                specs.push(Spec::default());
            }
            specs[*generation].add(&stanza);
            *generation += 1;
        }
        for (index, Spec { packages, install }) in specs.iter().enumerate() {
            let spec = scratch.path().join(format!("{index}.spec"));
            fs::write(&spec, format!("{HEAD}{packages}%install\n{install}")).unwrap();
            run(Command::new("rpmbuild")
                .args(["-bb", "--quiet", "--target", "x86_64-linux"])
                .arg("--define")
                .arg(format!(
                    "_topdir {}",
                    scratch.path().join("build").display()
                ))
                .arg("--define")
                .arg(format!("_rpmdir {}", root.display()))
                .arg(&spec));
        }
        let names = seen.keys().map(|name| (*name).to_owned()).collect();
        let upstream = Self {
            scratch,
            root,
            names,
        };
        upstream.index(&["--compress-type=gz"]);
        upstream
    }

    /// Makes `repodata/` anew.
    pub fn index(&self, options: &[&str]) {
        run(Command::new("createrepo_c")
            .arg("--quiet")
            .args(options)
            .arg(&self.root));
    }

    pub fn file(&self, path: &str) -> Vec<u8> {
        fs::read(self.root.join(path)).unwrap()
    }

    pub fn repomd(&self) -> Repomd {
        let bytes = self.file("repodata/repomd.xml");
        Repomd::read(&bytes, None, Signed::Packages, Timestamp::now()).unwrap()
    }

    pub fn stored(&self, part: &Part) -> Vec<u8> {
        self.file(&part.location)
    }

    pub fn packages(&self) -> Vec<Package> {
        let repomd = self.repomd();
        let part = repomd.primary().unwrap();
        primary::read(part, &self.stored(part), ARCH).unwrap()
    }

    /// The universe, with the files that these wishes have to know of, and the wishes.
    pub fn universe(&self, wanted: &[&str]) -> (Universe, Vec<Wish>) {
        let mut universe = Universe::new([self.packages()]);
        let wishes = |universe: &Universe, names: &[&str]| -> Vec<Wish> {
            names
                .iter()
                .map(|name| universe.wish(name, "a test"))
                .collect()
        };
        let all = [wanted, &BASE].concat();
        let unknown = universe.unknown_files(&wishes(&universe, &all));
        if !unknown.is_empty() {
            let repomd = self.repomd();
            let part = repomd.filelists().unwrap();
            universe.add_files(&filelists::read(part, &self.stored(part), &unknown).unwrap());
        }
        let wishes = wishes(&universe, wanted);
        (universe, wishes)
    }
}

/// `name-evr.arch`, as dnf says it.
pub fn label(package: &Carried) -> String {
    format!("{}-{}.{}", package.name, package.version, package.arch)
}

const HEAD: &str = "\
Name: upstream
Version: 1
Release: 1
Summary: what all packages come from
License: none
AutoReqProv: no
%global debug_package %{nil}
%global _build_id_links none
%description
Nothing.
";

fn stanzas(text: &str) -> Vec<Vec<&str>> {
    let mut stanzas: Vec<Vec<&str>> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
    {
        match (line.strip_prefix("  "), stanzas.last_mut()) {
            (Some(tag), Some(stanza)) => stanza.push(tag),
            _ => stanzas.push(vec![line]),
        }
    }
    stanzas
}

#[derive(Default)]
struct Spec {
    packages: String,
    install: String,
}

impl Spec {
    fn add(&mut self, stanza: &[&str]) {
        let mut head = stanza[0].split(' ');
        let (name, evr, arch) = (
            head.next().unwrap(),
            head.next().unwrap(),
            head.next().unwrap(),
        );
        let (epoch, version) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = version.split_once('-').unwrap();
        let mut spec = format!(
            "%package -n {name}\nVersion: {version}\nRelease: {release}\nSummary: {name} & more\n"
        );
        if epoch != "0" {
            writeln!(spec, "Epoch: {epoch}").unwrap();
        }
        if arch == "noarch" {
            spec += "BuildArch: noarch\n";
        }
        spec += "AutoReqProv: no\n";
        let (mut files, mut post) = (String::new(), String::new());
        for tag in &stanza[1..] {
            let (key, value) = tag.split_once(": ").unwrap();
            match key {
                "File" => {
                    writeln!(self.install, "mkdir -p $(dirname %{{buildroot}}{value}) && echo {name} > %{{buildroot}}{value}").unwrap();
                    writeln!(files, "{value}").unwrap();
                }
                "Dir" => {
                    writeln!(self.install, "mkdir -p %{{buildroot}}{value}").unwrap();
                    writeln!(files, "%dir {value}").unwrap();
                }
                "Post" => writeln!(post, "%post -n {name} -p <lua>\n{value}").unwrap(),
                _ => writeln!(spec, "{tag}").unwrap(),
            }
        }
        write!(
            self.packages,
            "{spec}%description -n {name}\nFor <tests>.\n{post}%files -n {name}\n{files}"
        )
        .unwrap();
    }
}
