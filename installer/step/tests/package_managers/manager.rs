//! The two package managers, and packages that are spelled once for both.

use std::fs;
use std::path::Path;

use crate::{deb, rpm};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    Apt,
    Dnf,
}

/// What a package says of another.
#[derive(Clone, Copy)]
pub enum Relation {
    Needs(&'static str),
    NeedsAtLeast(&'static str, &'static str),
    Conflicts(&'static str),
    Provides(&'static str),
}

/// When a script of a package runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    Installing,
    Installed,
}

/// A small package with just what a case is about. Each has `/usr/share/NAME/version` as well.
#[derive(Clone, Default)]
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pub relations: Vec<Relation>,
    pub files: Vec<(&'static str, Vec<u8>)>,
    pub settings: Vec<(&'static str, &'static str)>,
    pub scripts: Vec<(When, &'static str)>,
}

impl Package {
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            ..Self::default()
        }
    }

    pub fn that(mut self, relation: Relation) -> Self {
        self.relations.push(relation);
        self
    }

    pub fn with_file(mut self, path: &'static str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path, content.into()));
        self
    }

    /// A file below `/etc` that the host's owner may change.
    pub fn with_settings(mut self, path: &'static str, content: &'static str) -> Self {
        self.settings.push((path, content));
        self
    }

    pub fn runs(mut self, when: When, script: &'static str) -> Self {
        self.scripts.push((when, script));
        self
    }

    /// Lays its files below a directory.
    pub fn unpack(&self, directory: &Path) {
        let note = format!("/usr/share/{}/version", self.name);
        let settings = self.settings.iter();
        let settings = settings.map(|(path, text)| (*path, text.as_bytes()));
        let files = self.files.iter();
        let files = files.map(|(path, content)| (*path, content.as_slice()));
        for (path, content) in files
            .chain(settings)
            .chain([(&*note, self.version.as_bytes())])
        {
            let path = directory.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    pub fn script(&self, when: When) -> Option<&'static str> {
        let script = self.scripts.iter().find(|(at, _)| *at == when)?;
        Some(script.1)
    }
}

impl Manager {
    /// Makes the package's file, and gives its name.
    pub fn build(self, package: &Package, directory: &Path) -> String {
        match self {
            Self::Apt => deb::build(package, directory),
            Self::Dnf => rpm::build(package, directory),
        }
    }

    /// Makes the index of these files, as a bundle has it; gives its files.
    pub fn index(self, directory: &Path, files: &[String]) -> Vec<String> {
        match self {
            Self::Apt => deb::index(directory, files),
            Self::Dnf => rpm::index(directory, files),
        }
    }

    /// A version as the system spells it.
    pub fn version(self, version: &str) -> String {
        match self {
            Self::Apt => version.to_owned(),
            Self::Dnf => format!("{version}-1"),
        }
    }

    pub fn os(self) -> &'static str {
        match self {
            Self::Apt => "debian-13",
            Self::Dnf => "rocky-9",
        }
    }

    pub fn format(self) -> &'static str {
        match self {
            Self::Apt => "deb",
            Self::Dnf => "rpm",
        }
    }

    pub fn flavor(self) -> &'static str {
        match self {
            Self::Apt => "minimal",
            Self::Dnf => "rpm",
        }
    }

    /// What the machine of the test must have.
    pub fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["/usr/bin/dpkg-deb"],
            Self::Dnf => &["/usr/bin/rpmbuild"],
        }
    }

    /// Settings and sources that a host has, and nobody may touch.
    pub fn own_settings(self) -> &'static str {
        match self {
            Self::Apt => deb::OWN_SETTINGS,
            Self::Dnf => rpm::OWN_SETTINGS,
        }
    }

    /// What else an empty root has to have installed.
    pub fn base(self) -> Vec<Package> {
        match self {
            Self::Apt => Vec::new(),
            Self::Dnf => vec![
                Package::new("system", "9")
                    .that(Relation::Provides("/bin/sh"))
                    .that(Relation::Provides("system-release = 9")),
            ],
        }
    }

    pub fn install_files(self) -> &'static str {
        match self {
            Self::Apt => "dpkg -i",
            Self::Dnf => "rpm -i",
        }
    }

    /// Prints `name version` of each package.
    pub fn list(self) -> &'static str {
        match self {
            Self::Apt => {
                r"dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' | sed 's/ installed$//'"
            }
            Self::Dnf => r"rpm -qa --qf '%{NAME} %{VERSION}\n'",
        }
    }
}
