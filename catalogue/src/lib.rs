//! The catalogue: one table of where each component comes from and which versions belong together.
//!
//! The table is `data/catalogue.yaml`; this crate only reads it. Versions newer than the table resolve by the same
//! patterns, with the defaults of the nearest older Kubernetes release line.

mod addons;
mod component;
mod glibc;
mod image;
mod keys;
mod kubernetes;
mod minor;
mod pattern;
mod systems;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use addons::{AddonChart, AddonEdit, AddonSetting, AddonSource};
use cluster::Version;
pub use component::{Carries, Checksum, Component, Member, ResolveError, Resolved};
pub use glibc::Glibc;
pub use kubernetes::{Defaults, DefaultsError, HopsError};
pub use minor::Minor;
use serde::Deserialize;
pub use systems::{Archive, DebBase, Signed, Source, System, Systems};

/// All that is known about upstream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    components: BTreeMap<String, component::Entry>,
    images: BTreeMap<String, Vec<image::Image>>,
    kubernetes: kubernetes::Table,
}

impl Catalogue {
    /// The table that this program was built with.
    ///
    /// # Panics
    /// Never: the table is part of the program, and a test reads it.
    #[must_use]
    pub fn builtin() -> Self {
        serde_saphyr::from_str(include_str!("../data/catalogue.yaml"))
            .expect("the embedded table is read by a test")
    }

    pub fn components(&self) -> impl Iterator<Item = Component<'_>> {
        self.components
            .iter()
            .map(|(name, entry)| Component { name, entry })
    }

    pub fn component(&self, name: &str) -> Result<Component<'_>, ResolveError> {
        self.components
            .get_key_value(name)
            .map(|(name, entry)| Component { name, entry })
            .ok_or_else(|| ResolveError::UnknownComponent(name.to_owned()))
    }

    /// The names of all image sets.
    pub fn image_sets(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// The oldest and the newest Kubernetes release line of the table.
    #[must_use]
    pub fn kubernetes_range(&self) -> Option<(Minor, Minor)> {
        self.kubernetes.range()
    }

    /// The versions of Kubernetes that an upgrade goes through, in order; the last is where it leads.
    pub fn hops(&self, from: &Version, to: &Version) -> Result<Vec<Version>, HopsError> {
        self.kubernetes.hops(from, to)
    }

    /// What goes with a Kubernetes version.
    pub fn defaults(&self, kubernetes: &Version) -> Result<Defaults<'_>, DefaultsError> {
        self.kubernetes.defaults(kubernetes, &self.images)
    }
}
