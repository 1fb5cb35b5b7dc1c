use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use cluster::{ImageSet, Version};
use serde::{Deserialize, Serialize};

use crate::FileEntry;
use crate::known_keys;

/// What goes together: a version of Kubernetes, and with it one version of each component. A bundle may hold several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub kubernetes: Version,
    /// The version of each component, as its files have it.
    pub components: BTreeMap<String, String>,
    /// References of its images, by what they are there for. Sorted.
    #[serde(deserialize_with = "known_keys")]
    pub images: BTreeMap<ImageSet, Vec<String>>,
    /// The config that it was worked out from, by its path in the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Utf8PathBuf>,
}

impl Release {
    /// Of nothing yet.
    #[must_use]
    pub const fn new(kubernetes: Version) -> Self {
        Self {
            kubernetes,
            components: BTreeMap::new(),
            images: BTreeMap::new(),
            config: None,
        }
    }

    /// Of the components that these files belong to.
    #[must_use]
    pub fn of(kubernetes: Version, files: &[FileEntry]) -> Self {
        let component = |file: &FileEntry| Some((file.component.clone()?, file.version.clone()?));
        Self {
            components: files.iter().filter_map(component).collect(),
            ..Self::new(kubernetes)
        }
    }

    #[must_use]
    pub fn version_of(&self, component: &str) -> Option<&str> {
        self.components.get(component).map(String::as_str)
    }

    /// The references of a set's images.
    #[must_use]
    pub fn images_of(&self, set: ImageSet) -> &[String] {
        self.images.get(&set).map_or(&[], Vec::as_slice)
    }

    /// Whether an image is there only because the config names it.
    #[must_use]
    pub fn is_users_own(&self, reference: &str) -> bool {
        let holds = |images: &[String]| images.iter().any(|image| image == reference);
        let mut others = self
            .images
            .iter()
            .filter(|(set, _)| **set != ImageSet::User);
        holds(self.images_of(ImageSet::User)) && !others.any(|(_, images)| holds(images))
    }
}
