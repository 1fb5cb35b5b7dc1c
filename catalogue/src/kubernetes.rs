use std::collections::{BTreeMap, BTreeSet};

use cluster::{InvalidVersion, Kubernetes, Version};
use serde::Deserialize;

use crate::Minor;
use crate::image::Image;
use crate::minor::within;
use crate::pattern::Pattern;

/// The versions that go with one Kubernetes version, and the images they mean.
#[derive(Clone, Debug)]
pub struct Defaults<'a> {
    versions: BTreeMap<String, String>,
    /// Those of them that a person chose.
    chosen: BTreeSet<String>,
    sets: &'a BTreeMap<String, Vec<Image>>,
    /// The release line the defaults were taken from, where the table does not know the one asked for.
    pub nearest: Option<Minor>,
}

/// Why there are no defaults.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefaultsError {
    #[error("Kubernetes {version} is older than the oldest release line supported, {oldest}")]
    TooOld { version: Version, oldest: Minor },
    #[error("the catalogue names no default version of {0}")]
    NoDefault(String),
    #[error("the catalogue has no image set '{0}'")]
    NoImages(String),
    #[error(transparent)]
    Version(#[from] InvalidVersion),
}

impl Defaults<'_> {
    /// The version of a component.
    pub fn version(&self, component: &str) -> Result<Version, DefaultsError> {
        self.versions
            .get(component)
            .ok_or_else(|| DefaultsError::NoDefault(component.to_owned()))?
            .parse()
            .map_err(DefaultsError::from)
    }

    /// Whether something of this name has a version here.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.versions.contains_key(name)
    }

    /// Everything that has a version here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.versions.keys().map(String::as_str)
    }

    /// Puts a version that a person chose in place of the default.
    pub fn choose(&mut self, component: &str, version: &Version) {
        self.choose_image(component, &version.without_v());
    }

    /// Puts an image's tag, whose form is its project's own, in place of the default.
    pub fn choose_image(&mut self, name: &str, tag: &str) {
        self.versions.insert(name.to_owned(), tag.to_owned());
        self.chosen.insert(name.to_owned());
    }

    /// The references of an image set: `pause`, `coredns`, `calico`, ...
    pub fn images(&self, set: &str) -> Result<Vec<String>, DefaultsError> {
        self.fill(set, |_| true)
    }

    /// Those of an image set whose tag a person chose.
    pub fn chosen_images(&self, set: &str) -> Result<Vec<String>, DefaultsError> {
        self.fill(set, |pattern| {
            pattern
                .placeholders()
                .any(|VersionName(name)| self.chosen.contains(name))
        })
    }

    fn fill(
        &self,
        set: &str,
        wanted: impl Fn(&Pattern<VersionName>) -> bool,
    ) -> Result<Vec<String>, DefaultsError> {
        let version_of = |name: &str| self.versions.get(name).map(String::as_str);
        let images = self
            .sets
            .get(set)
            .ok_or_else(|| DefaultsError::NoImages(set.to_owned()))?;
        images
            .iter()
            .filter(|image| image.applies(version_of))
            .map(|image| &image.reference)
            .filter(|pattern| wanted(pattern))
            .map(|pattern| {
                if let Some(VersionName(missing)) = pattern
                    .placeholders()
                    .find(|VersionName(name)| !self.versions.contains_key(name))
                {
                    return Err(DefaultsError::NoDefault(missing.clone()));
                }
                Ok(pattern.fill(|VersionName(name)| &self.versions[name]))
            })
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn versions(&self) -> &BTreeMap<String, String> {
        &self.versions
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    newest: BTreeMap<Minor, Version>,
    always: BTreeMap<String, String>,
    minors: BTreeMap<Minor, BTreeMap<String, String>>,
    patches: Vec<Patch>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    versions: semver::VersionReq,
    r#use: BTreeMap<String, String>,
}

/// Why one version of Kubernetes cannot be upgraded to another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopsError {
    #[error("Kubernetes {from} is not older than {to}")]
    NotOlder { from: Version, to: Version },
    #[error("Kubernetes {from} is older than the oldest release line supported, {oldest}")]
    TooOld { from: Version, oldest: Minor },
    #[error(
        "the way from Kubernetes {from} to {to} leads through {minor}, of which this kubexm knows no patch"
    )]
    UnknownMinor {
        from: Version,
        to: Version,
        minor: Minor,
    },
}

impl Table {
    /// The versions that an upgrade goes through: no minor may be left out, and of each in between the newest patch is taken.
    pub(crate) fn hops(&self, from: &Version, to: &Version) -> Result<Vec<Version>, HopsError> {
        let (first, last) = (Minor::of(from), Minor::of(to));
        if from >= to {
            let (from, to) = (from.clone(), to.clone());
            return Err(HopsError::NotOlder { from, to });
        }
        if let Some((oldest, _)) = self.range()
            && first < oldest
        {
            let from = from.clone();
            return Err(HopsError::TooOld { from, oldest });
        }
        let between = (first.minor + 1..last.minor).map(|minor| Minor { minor, ..last });
        let patch = |minor: Minor| {
            let known = self.newest.get(&minor).cloned();
            known.ok_or_else(|| HopsError::UnknownMinor {
                from: from.clone(),
                to: to.clone(),
                minor,
            })
        };
        let mut hops = between.map(patch).collect::<Result<Vec<_>, _>>()?;
        hops.push(to.clone());
        Ok(hops)
    }

    /// The oldest and the newest release line of the table.
    pub(crate) fn range(&self) -> Option<(Minor, Minor)> {
        Some((
            *self.minors.first_key_value()?.0,
            *self.minors.last_key_value()?.0,
        ))
    }

    pub(crate) fn defaults<'a>(
        &self,
        version: &Version,
        sets: &'a BTreeMap<String, Vec<Image>>,
    ) -> Result<Defaults<'a>, DefaultsError> {
        let asked = Minor::of(version);
        let Some((minor, of_minor)) = self.minors.range(..=asked).next_back() else {
            return Err(DefaultsError::TooOld {
                version: version.clone(),
                oldest: self.minors.keys().next().copied().unwrap_or(asked),
            });
        };
        let mut versions = self.always.clone();
        versions.extend(of_minor.clone());
        for patch in self
            .patches
            .iter()
            .filter(|patch| within(version, &patch.versions))
        {
            versions.extend(patch.r#use.clone());
        }
        for name in Kubernetes::RELEASED_TOGETHER {
            versions.insert((*name).to_owned(), version.without_v());
        }
        if let Some(calico) = versions.get("calico").cloned() {
            versions.insert("calicoctl".to_owned(), calico);
        }
        Ok(Defaults {
            versions,
            chosen: BTreeSet::new(),
            sets,
            nearest: (*minor != asked).then_some(*minor),
        })
    }
}

/// A placeholder that stands for a version of the table.
#[derive(Clone, Debug)]
pub(crate) struct VersionName(pub(crate) String);

impl std::str::FromStr for VersionName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}
