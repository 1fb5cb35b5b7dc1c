//! What changes from one bundle to another, whatever way either was carried.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use crate::{Contents, FileEntry, Sha256, repository, split_tag};

/// So many digits of a digest tell two apart for people.
const DIGITS: usize = 12;

/// All that differs; what is the same is in none of its lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub components: Vec<Changed>,
    pub images: Vec<Changed>,
    /// Packages of operating systems.
    pub packages: Vec<Changed>,
    pub configs: Vec<Changed>,
    pub charts: Vec<Changed>,
    /// All others, by path.
    pub files: Vec<Changed>,
    /// The contents of the second that the first has not: no delta carries more.
    pub new: Amount,
    /// The contents of the first that the second has not.
    pub gone: Amount,
}

/// Something that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    pub name: String,
    /// The architecture, or the operating system with it; empty where it is for all.
    #[serde(rename = "for")]
    pub scope: String,
    /// Its versions, or digests where it has none. Several where a bundle is for an upgrade; none where it is not there.
    pub before: Vec<String>,
    pub after: Vec<String>,
    pub size_before: u64,
    pub size_after: u64,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Removed,
    Version,
    /// The same versions with another content.
    Content,
}

/// Distinct contents, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub files: u64,
    pub bytes: u64,
}

impl Changed {
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        if self.before.is_empty() {
            ChangeKind::Added
        } else if self.after.is_empty() {
            ChangeKind::Removed
        } else if self.before == self.after {
            ChangeKind::Content
        } else {
            ChangeKind::Version
        }
    }
}

impl Difference {
    /// What somebody who has the one gets with the other.
    #[must_use]
    pub fn between(before: &Contents, after: &Contents) -> Self {
        let of = |list: fn(&Contents) -> Things| changes(&list(before), &list(after));
        Self {
            components: of(components),
            images: of(images),
            packages: of(packages),
            configs: of(configs),
            charts: of(charts),
            files: of(others),
            new: beyond(after, before),
            gone: beyond(before, after),
        }
    }

    /// Whether both hold the same.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.lists().all(|(_, list)| list.is_empty())
    }

    /// The lists with what one thing of them is called.
    pub fn lists(&self) -> impl Iterator<Item = (&'static str, &[Changed])> {
        [
            ("component", &self.components),
            ("image", &self.images),
            ("package", &self.packages),
            ("config", &self.configs),
            ("chart", &self.charts),
            ("file", &self.files),
        ]
        .into_iter()
        .map(|(name, list)| (name, list.as_slice()))
    }
}

/// By name and scope.
type Things = BTreeMap<(String, String), Thing>;

#[derive(Default)]
struct Thing {
    versions: BTreeSet<String>,
    contents: BTreeSet<(String, Sha256)>,
    size: u64,
}

impl Thing {
    fn add(&mut self, version: &str, content: (&str, Sha256), size: u64) {
        self.versions.insert(version.to_owned());
        if self.contents.insert((content.0.to_owned(), content.1)) {
            self.size = self.size.saturating_add(size);
        }
    }
}

fn changes(before: &Things, after: &Things) -> Vec<Changed> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let none = Thing::default();
    let both = names.into_iter().map(|key| {
        let [before, after] = [before, after].map(|things| things.get(key).unwrap_or(&none));
        (key, before, after)
    });
    both.filter(|(_, before, after)| before.contents != after.contents)
        .map(|((name, scope), before, after)| Changed {
            name: name.clone(),
            scope: scope.clone(),
            before: before.versions.iter().cloned().collect(),
            after: after.versions.iter().cloned().collect(),
            size_before: before.size,
            size_after: after.size,
        })
        .collect()
}

fn components(contents: &Contents) -> Things {
    let mut things = Things::new();
    for file in &contents.files {
        let Some(component) = &file.component else {
            continue;
        };
        let arch = file.arch.map_or_else(String::new, |arch| arch.to_string());
        let version = file.version.as_deref().unwrap_or("-");
        let content = (file.path.as_str(), file.sha256);
        let thing = things.entry((component.clone(), arch)).or_default();
        thing.add(version, content, file.size);
    }
    things
}

fn images(contents: &Contents) -> Things {
    let mut things = Things::new();
    for image in &contents.images {
        let name = repository(&image.reference).to_owned();
        let digest = image.reference.split_once('@').map(|(_, digest)| digest);
        let version = split_tag(&image.reference).1.or(digest).unwrap_or("-");
        let size = image.platforms.iter().map(|platform| platform.size).sum();
        let thing = things.entry((name, String::new())).or_default();
        thing.add(version, (&image.reference, image.digest), size);
    }
    things
}

fn packages(contents: &Contents) -> Things {
    let mut things = Things::new();
    for set in &contents.systems {
        for package in &set.packages {
            let Some(file) = contents.file(&package.path) else {
                continue;
            };
            let scope = format!("{} {}", set.os, set.arch);
            let thing = things.entry((package.name.clone(), scope)).or_default();
            thing.add(&package.version, ("", file.sha256), file.size);
        }
    }
    things
}

fn configs(contents: &Contents) -> Things {
    let mut things = Things::new();
    for config in &contents.configs {
        let size = contents.file(&config.path).map_or(0, |file| file.size);
        let key = (config.cluster.clone(), String::new());
        let thing = things.entry(key).or_default();
        thing.add(&short(config.sha256), ("", config.sha256), size);
    }
    things
}

fn charts(contents: &Contents) -> Things {
    let mut things = Things::new();
    for chart in &contents.charts {
        let Some(file) = contents.file(&chart.path) else {
            continue;
        };
        let key = (chart.name.clone(), String::new());
        let thing = things.entry(key).or_default();
        thing.add(&chart.version, ("", file.sha256), file.size);
    }
    things
}

/// What belongs to nothing of the above. The layout of images changes with them.
fn others(contents: &Contents) -> Things {
    let configs = contents.configs.iter().map(|config| &config.path);
    let charts = contents.charts.iter().map(|chart| &chart.path);
    let sets = contents.systems.iter().flat_map(|set| &set.packages);
    let packages = sets.map(|package| &package.path);
    let told: HashSet<_> = configs.chain(charts).chain(packages).collect();
    let is_other = |file: &&FileEntry| {
        file.component.is_none() && !told.contains(&file.path) && !file.path.starts_with("images")
    };
    let mut things = Things::new();
    for file in contents.files.iter().filter(is_other) {
        let key = (file.path.to_string(), String::new());
        let thing = things.entry(key).or_default();
        thing.add(&short(file.sha256), ("", file.sha256), file.size);
    }
    things
}

fn short(digest: Sha256) -> String {
    let mut digits = digest.to_string();
    digits.truncate(DIGITS);
    digits
}

/// Contents that one has and the other has not, each counted once.
fn beyond(one: &Contents, other: &Contents) -> Amount {
    let mut known: HashSet<Sha256> = other.files.iter().map(|file| file.sha256).collect();
    let files = one.files.iter();
    files.filter(|file| known.insert(file.sha256)).fold(
        Amount::default(),
        |Amount { files, bytes }, file| Amount {
            files: files + 1,
            bytes: bytes.saturating_add(file.size),
        },
    )
}

#[cfg(test)]
mod tests {
    use cluster::Arch;

    use super::*;
    use crate::{ConfigEntry, ImageEntry, PlatformEntry};

    fn digest(of: &str) -> Sha256 {
        Sha256::of(of.as_bytes())
    }

    fn component(name: &str, version: &str, content: &str) -> FileEntry {
        FileEntry {
            component: Some(name.into()),
            version: Some(version.into()),
            arch: Some(Arch::Amd64),
            ..FileEntry::new(
                format!("{name}/{version}/amd64/{name}"),
                content.len() as u64,
                0o755,
                digest(content),
            )
        }
    }

    fn image(reference: &str, content: &str) -> ImageEntry {
        let platforms = vec![PlatformEntry {
            arch: Arch::Amd64,
            digest: digest(content),
            size: 100,
        }];
        ImageEntry {
            platforms,
            ..ImageEntry::new(reference, digest(content))
        }
    }

    fn told(list: &[Changed]) -> Vec<String> {
        let one = |it: &Changed| {
            let versions = [&it.before, &it.after].map(|versions| versions.join("+"));
            format!("{} {:?} {}", it.name, it.kind(), versions.join(">"))
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn each_kind_of_change_is_told_and_what_stays_is_not() {
        let before = Contents {
            files: vec![
                component("etcd", "v3.5.24", "etcd"),
                component("helm", "v3", "old helm"),
                component("kubelet", "v1.34.2", "kubelet 34"),
                component("runc", "v1", "runc"),
            ],
            images: vec![image("a.io/x:1", "x"), image("a.io/y:1", "y")],
            ..Contents::new("a", "1")
        };
        let after = Contents {
            files: vec![
                component("cilium", "v1", "cilium"),
                component("helm", "v3", "new helm!"),
                component("kubelet", "v1.34.2", "kubelet 34"),
                component("kubelet", "v1.35.0", "kubelet 35"),
                component("runc", "v1", "runc"),
            ],
            images: vec![image("a.io/x:2", "x2"), image("a.io/y:1", "y")],
            ..Contents::new("a", "1")
        };
        let difference = Difference::between(&before, &after);
        assert_eq!(
            told(&difference.components),
            [
                "cilium Added >v1",
                "etcd Removed v3.5.24>",
                "helm Content v3>v3",
                "kubelet Version v1.34.2>v1.34.2+v1.35.0",
            ]
        );
        assert_eq!(told(&difference.images), ["a.io/x Version 1>2"]);
        let new = Amount {
            files: 3,
            bytes: "cilium".len() as u64 + "new helm!".len() as u64 + "kubelet 35".len() as u64,
        };
        assert_eq!(difference.new, new);
        assert_eq!(difference.gone.files, 2);
        assert!(Difference::between(&after, &after).is_none());
    }

    #[test]
    fn no_file_changes_unseen() {
        let file = |path: &str, content: &str| {
            FileEntry::new(path, content.len() as u64, 0o644, digest(content))
        };
        let with = |config: &str, note: &str| Contents {
            files: vec![file("config.yaml", config), file("manifests/note", note)],
            configs: vec![ConfigEntry {
                cluster: "a".into(),
                path: "config.yaml".into(),
                sha256: digest(config),
            }],
            ..Contents::new("a", "1")
        };
        let difference = Difference::between(&with("one", "one"), &with("two", "two"));
        let names = |list: &[Changed]| -> Vec<String> {
            list.iter().map(|changed| changed.name.clone()).collect()
        };
        assert_eq!(names(&difference.configs), ["a"]);
        assert_eq!(names(&difference.files), ["manifests/note"]);
        assert_eq!(difference.new.files, 1, "alike contents count once");
    }
}
