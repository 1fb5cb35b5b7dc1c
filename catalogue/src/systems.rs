//! The operating systems whose packages can travel along, as `data/systems.yaml` tells.

use std::collections::BTreeMap;
use std::str::FromStr;

use cluster::{Arch, Os, OsPackage};
use serde::Deserialize;

use crate::Glibc;
use crate::keys::key;
use crate::pattern::Pattern;

/// What each need is called.
type Names = BTreeMap<OsPackage, Vec<String>>;

/// All operating systems that are known.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systems {
    families: BTreeMap<String, Names>,
    systems: BTreeMap<Os, Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    family: String,
    glibc: Glibc,
    #[serde(default)]
    but: Names,
    keys: Vec<String>,
    layout: Layout,
}

/// Where packages are, and what is there without them.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Layout {
    Deb {
        archives: Vec<Archive>,
        base: DebBase,
    },
    Rpm {
        signed: Signed,
        repositories: Vec<Pattern<Placeholder>>,
        base: Vec<String>,
    },
}

/// An archive of Debian's form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Its address, without a slash at the end.
    pub at: String,
    #[serde(default = "every_arch", rename = "for")]
    arches: Vec<Arch>,
    pub suites: Vec<String>,
    pub components: Vec<String>,
}

/// What the smallest installation has, beside what is marked as essential and what all this depends on without a choice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebBase {
    /// Those of these priorities are there.
    pub priorities: Vec<String>,
    pub names: Vec<String>,
}

/// What a distribution with RPM puts its signature on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    /// The metadata, and by it everything.
    Metadata,
    /// Each package, and nothing else.
    Packages,
}

/// A system's archives for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    Deb {
        archives: Vec<&'a Archive>,
        base: &'a DebBase,
    },
    Rpm {
        signed: Signed,
        /// Addresses without a slash at the end, the most important first.
        repositories: Vec<String>,
        /// The packages that a bare installation has, beside what they require.
        base: &'a [String],
    },
}

/// An operating system that is known.
#[derive(Clone, Copy, Debug)]
pub struct System<'a> {
    entry: &'a Entry,
    family: &'a Names,
}

#[derive(Clone, Debug)]
enum Placeholder {
    Arch,
    Uname,
}

impl FromStr for Placeholder {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "arch" => Ok(Self::Arch),
            "uname" => Ok(Self::Uname),
            _ => Err(format!("unknown placeholder {{{name}}}")),
        }
    }
}

fn every_arch() -> Vec<Arch> {
    Arch::ALL.to_vec()
}

impl Systems {
    /// The table that this program was built with.
    ///
    /// # Panics
    /// Never: the table is part of the program, and a test reads it.
    #[must_use]
    pub fn builtin() -> Self {
        serde_saphyr::from_str(include_str!("../data/systems.yaml"))
            .expect("the embedded table is read by a test")
    }

    /// Every known system, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &Os> {
        self.systems.keys()
    }

    #[must_use]
    pub fn system(&self, os: &Os) -> Option<System<'_>> {
        let entry = self.systems.get(os)?;
        let family = self.families.get(&entry.family)?;
        Some(System { entry, family })
    }
}

impl<'a> System<'a> {
    /// What a need of kubexm's is called here; nothing where the system has no use for it.
    #[must_use]
    pub fn names_of(&self, package: OsPackage) -> &'a [String] {
        let names = self.entry.but.get(&package);
        names
            .or_else(|| self.family.get(&package))
            .map_or(&[], Vec::as_slice)
    }

    /// What its programs are linked against.
    #[must_use]
    pub fn glibc(&self) -> Glibc {
        self.entry.glibc
    }

    /// The armored keys that its archives are signed with.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.entry.keys.iter().filter_map(|name| key(name))
    }

    /// Where its packages for an architecture are.
    #[must_use]
    pub fn source(&self, arch: Arch) -> Source<'a> {
        match &self.entry.layout {
            Layout::Deb { archives, base } => Source::Deb {
                archives: archives
                    .iter()
                    .filter(|archive| archive.arches.contains(&arch))
                    .collect(),
                base,
            },
            Layout::Rpm {
                signed,
                repositories,
                base,
            } => Source::Rpm {
                signed: *signed,
                repositories: repositories
                    .iter()
                    .map(|address| fill(address, arch))
                    .collect(),
                base,
            },
        }
    }
}

fn fill(address: &Pattern<Placeholder>, arch: Arch) -> String {
    address.fill(|placeholder| match placeholder {
        Placeholder::Arch => arch.go(),
        Placeholder::Uname => arch.uname(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::keys::KEYS;

    #[test]
    fn every_system_answers_every_need() {
        let systems = Systems::builtin();
        for os in systems.names() {
            let entry = &systems.systems[os];
            let family = &systems.families[&entry.family];
            for package in OsPackage::ALL {
                assert!(family.contains_key(package), "{os}: {package}");
            }
        }
    }

    #[test]
    fn every_key_is_there_and_used() {
        let systems = Systems::builtin();
        let mut used = BTreeSet::new();
        for (os, entry) in &systems.systems {
            assert!(!entry.keys.is_empty(), "{os}");
            for name in &entry.keys {
                assert!(key(name).is_some(), "{os}: {name}");
                used.insert(name.as_str());
            }
        }
        let known: BTreeSet<&str> = KEYS.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, known);
        for (name, key) in KEYS {
            assert!(
                key.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----"),
                "{name}"
            );
        }
    }

    #[test]
    fn every_system_has_addresses_for_every_architecture() {
        let systems = Systems::builtin();
        let mut lines = Vec::new();
        for os in systems.names() {
            for arch in Arch::ALL {
                match systems.system(os).unwrap().source(arch) {
                    Source::Deb { archives, .. } => lines.extend(archives.iter().map(|archive| {
                        let (suites, components) =
                            (archive.suites.join(" "), archive.components.join(" "));
                        format!("{os} {arch}: {} {suites} {components}", archive.at)
                    })),
                    Source::Rpm { repositories, .. } => {
                        lines.extend(repositories.iter().map(|at| format!("{os} {arch}: {at}")));
                    }
                }
                assert!(lines.last().unwrap().starts_with(&format!("{os} {arch}")));
            }
        }
        assert!(
            !lines
                .iter()
                .any(|line| line.contains('{') || line.ends_with('/')),
            "{lines:#?}"
        );
        let of = |start: &str| {
            let lines = lines.iter().filter(|line| line.starts_with(start));
            lines.map(String::as_str).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(of("debian-13 amd64"), @r"
        debian-13 amd64: https://deb.debian.org/debian trixie trixie-updates main
        debian-13 amd64: https://deb.debian.org/debian-security trixie-security main
        ");
        insta::assert_snapshot!(of("ubuntu-24.04 arm64"), @"ubuntu-24.04 arm64: http://ports.ubuntu.com/ubuntu-ports noble noble-updates noble-security main universe");
        insta::assert_snapshot!(of("rocky-9 arm64"), @r"
        rocky-9 arm64: https://dl.rockylinux.org/pub/rocky/9/BaseOS/aarch64/os
        rocky-9 arm64: https://dl.rockylinux.org/pub/rocky/9/AppStream/aarch64/os
        rocky-9 arm64: https://dl.rockylinux.org/pub/rocky/9/extras/aarch64/os
        ");
    }

    #[test]
    fn what_differs_in_a_release_wins_over_its_family() {
        let systems = Systems::builtin();
        let named = |os: &str, package| {
            let system = systems.system(&os.parse().unwrap()).unwrap();
            system.names_of(package).join(" ")
        };
        assert_eq!(named("rocky-8", OsPackage::Ebtables), "iptables-ebtables");
        assert_eq!(named("rocky-9", OsPackage::Ebtables), "iptables-nft");
        assert_eq!(
            named("debian-13", OsPackage::Nginx),
            "nginx libnginx-mod-stream"
        );
        assert_eq!(named("debian-13", OsPackage::ContainerSelinux), "");
    }
}
