use cluster::{Arch, Version};
use serde::Deserialize;

use crate::Glibc;
use crate::minor::within;
use crate::pattern::Pattern;

/// One component of the catalogue.
#[derive(Clone, Debug)]
pub struct Component<'a> {
    pub(crate) name: &'a str,
    pub(crate) entry: &'a Entry,
}

/// A file of a component, for one version and architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub component: String,
    pub version: Version,
    /// None where it is the same for all.
    pub arch: Option<Arch>,
    pub url: String,
    pub checksum: Checksum,
    /// Its place in the tree, e.g. `etcd/v3.5.24/amd64/etcd-v3.5.24-linux-amd64.tar.gz`.
    pub path: String,
    pub carries: Carries,
}

impl Resolved {
    /// The name upstream gives the file.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Where upstream publishes the SHA-256 of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// At an address of its own: a digest alone, or followed by the file's name.
    Beside { url: String },
    /// In a list of digests and file names.
    ListedIn { url: String },
    /// Nowhere that a program could read.
    Unpublished,
}

/// What is to be installed from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carries {
    /// The file is this program.
    Program(String),
    /// It is an archive with these programs.
    Members(Vec<Member>),
    /// The file is a manifest of Kubernetes, with a workload of this kind.
    Manifest(String),
    /// No program.
    Nothing,
}

/// Programs inside an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// At this path; it must be there.
    At(String),
    /// Every executable directly in this directory; the empty name is the archive's top.
    AllIn(String),
}

impl Member {
    fn parse(pattern: &str) -> Self {
        match pattern.strip_suffix('*') {
            Some(dir) => Self::AllIn(dir.trim_end_matches('/').to_owned()),
            None => Self::At(pattern.to_owned()),
        }
    }

    /// Whether an archive's path, in tar's spelling with or without a leading `./`, is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let path = path.strip_prefix("./").unwrap_or(path);
        match self {
            Self::At(member) => path == member,
            Self::AllIn(dir) => path.rsplit_once('/').map_or("", |(parent, _)| parent) == dir,
        }
    }
}

/// A version or architecture of a component that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("the catalogue has no component '{0}'")]
    UnknownComponent(String),
    #[error("{component} {version} is not made for {arch}: upstream releases it for {} only", list(.available))]
    Arch {
        component: String,
        version: Version,
        arch: Arch,
        available: Vec<Arch>,
    },
    #[error("{component} {version} is older than the oldest supported release ({oldest})")]
    TooOld {
        component: String,
        version: Version,
        oldest: String,
    },
}

fn list(arches: &[Arch]) -> String {
    arches
        .iter()
        .map(|arch| arch.go())
        .collect::<Vec<_>>()
        .join(", ")
}

impl Component<'_> {
    #[must_use]
    pub const fn name(&self) -> &str {
        self.name
    }

    /// The architectures that upstream releases this version for.
    #[must_use]
    pub fn arches(&self, version: &Version) -> &[Arch] {
        self.release(version).map_or(&[], |release| &release.arches)
    }

    /// The file for machines of which the oldest has this glibc; none where it is not known.
    pub fn resolve(
        &self,
        version: &Version,
        arch: Arch,
        oldest: Option<Glibc>,
    ) -> Result<Resolved, ResolveError> {
        let release = self.release(version).ok_or_else(|| self.too_old(version))?;
        if !release.arches.contains(&arch) {
            return Err(ResolveError::Arch {
                component: self.name.to_owned(),
                version: version.clone(),
                arch,
                available: release.arches.clone(),
            });
        }
        let (with_v, number) = (version.with_v(), version.without_v());
        let expand = |pattern: &Pattern<Placeholder>| {
            pattern.fill(|placeholder| match placeholder {
                Placeholder::WithV => &with_v,
                Placeholder::Number => &number,
                Placeholder::Arch => arch.go(),
                Placeholder::Uname => arch.uname(),
                Placeholder::Name => self.name,
            })
        };
        let file = release.file_for(oldest);
        let (file, directory) = (expand(file), expand(&release.from));
        let url = format!("{directory}/{file}");
        Ok(Resolved {
            component: self.name.to_owned(),
            version: version.clone(),
            arch: self.entry.is_for_one_arch().then_some(arch),
            checksum: match &release.checksum {
                ChecksumRule::Beside(suffix) => Checksum::Beside {
                    url: format!("{url}{suffix}"),
                },
                ChecksumRule::ListedIn(list) => Checksum::ListedIn {
                    url: format!("{directory}/{list}"),
                },
                ChecksumRule::Unpublished => Checksum::Unpublished,
            },
            url,
            path: format!("{}/{file}", expand(&self.entry.tree)),
            carries: match &release.carries {
                CarriesRule::Program(name) => Carries::Program(expand(name)),
                CarriesRule::Members(members) => Carries::Members(
                    members
                        .iter()
                        .map(|member| Member::parse(&expand(member)))
                        .collect(),
                ),
                CarriesRule::Manifest(kind) => Carries::Manifest(kind.clone()),
                CarriesRule::Nothing => Carries::Nothing,
            },
        })
    }

    fn release(&self, version: &Version) -> Option<&Release> {
        let mut releases = self.entry.releases.iter();
        releases.find(|release| within(version, &release.versions))
    }

    fn too_old(&self, version: &Version) -> ResolveError {
        let oldest = self
            .entry
            .releases
            .last()
            .map(|release| release.versions.to_string());
        ResolveError::TooOld {
            component: self.name.to_owned(),
            version: version.clone(),
            oldest: oldest.unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    tree: Pattern<Placeholder>,
    releases: Vec<Release>,
}

impl Entry {
    /// Files that differ have places that differ.
    fn is_for_one_arch(&self) -> bool {
        let mut placeholders = self.tree.placeholders();
        placeholders.any(|placeholder| matches!(placeholder, Placeholder::Arch))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(default)]
    versions: semver::VersionReq,
    #[serde(default = "all")]
    arches: Vec<Arch>,
    file: Pattern<Placeholder>,
    older: Option<Older>,
    from: Pattern<Placeholder>,
    checksum: ChecksumRule,
    carries: CarriesRule,
}

/// What systems take whose glibc is older than the one that the file asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Older {
    glibc: Glibc,
    take: Pattern<Placeholder>,
}

impl Release {
    fn file_for(&self, oldest: Option<Glibc>) -> &Pattern<Placeholder> {
        match (&self.older, oldest) {
            (Some(older), Some(oldest)) if oldest < older.glibc => &older.take,
            _ => &self.file,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChecksumRule {
    Beside(String),
    ListedIn(String),
    Unpublished,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CarriesRule {
    Program(Pattern<Placeholder>),
    Members(Vec<Pattern<Placeholder>>),
    Manifest(String),
    Nothing,
}

fn all() -> Vec<Arch> {
    Arch::ALL.to_vec()
}

#[derive(Clone, Copy, Debug)]
enum Placeholder {
    WithV,
    Number,
    Arch,
    Uname,
    Name,
}

impl std::str::FromStr for Placeholder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "v" => Ok(Self::WithV),
            "n" => Ok(Self::Number),
            "arch" => Ok(Self::Arch),
            "uname" => Ok(Self::Uname),
            "name" => Ok(Self::Name),
            unknown => Err(format!("unknown placeholder {{{unknown}}}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_placeholder_does_not_parse() {
        let error = "runc.{os}".parse::<Pattern<Placeholder>>().unwrap_err();
        assert_eq!(error, "unknown placeholder {os}");
    }

    #[test]
    fn members_match_in_both_spellings_of_tar() {
        let top = Member::parse("*");
        assert!(top.matches("./bridge") && top.matches("bridge"));
        assert!(!top.matches("doc/bridge"));
        let bin = Member::parse("bin/*");
        assert!(bin.matches("bin/ctr") && !bin.matches("bin/deep/ctr") && !bin.matches("ctr"));
        assert!(Member::parse("bin/ctr").matches("./bin/ctr"));
    }
}
