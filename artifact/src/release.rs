use std::collections::BTreeMap;
use std::fmt;

use camino::Utf8PathBuf;
use cluster::Version;
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

macro_rules! image_sets {
    ($($variant:ident = $name:literal,)*) => {
        /// What images are there for, under the catalogue's name of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ImageSet {
            $(#[serde(rename = $name)] $variant,)*
            /// What the config itself names, in `spec.images`.
            #[serde(rename = "user")]
            User,
        }

        impl ImageSet {
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::User => "user",
                }
            }
        }
    };
}

image_sets! {
    Calico = "calico",
    Cilium = "cilium",
    ControlPlane = "control-plane",
    Coredns = "coredns",
    Etcd = "etcd",
    Flannel = "flannel",
    Haproxy = "haproxy",
    KubeProxy = "kube-proxy",
    KubeVip = "kube-vip",
    Nginx = "nginx",
    Nodelocaldns = "nodelocaldns",
    Pause = "pause",
}

impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
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
