//! The objects of an addon, as bundling has made them and installing applies them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use cluster::{Addon, Cluster, KnownAddon};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Sha256;

/// Everything about an addon that an installation needs. Where charts come in, they were rendered before: the site has no part
/// in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddonObjects {
    pub name: String,
    /// What the release calls it.
    pub version: String,
    /// Where objects are that name no namespace.
    pub namespace: String,
    /// Labels that this namespace gets, among them the level of pod security.
    pub namespace_labels: BTreeMap<String, String>,
    /// What it was made of, each with its digest.
    pub origins: BTreeMap<String, Sha256>,
    /// Definitions of kinds. They come first, and all else waits until they are known.
    pub definitions: Vec<Value>,
    pub objects: Vec<Value>,
    /// Of kinds that it brings itself, where somebody of it must be asked about each: they come when it is ready.
    pub custom: Vec<Value>,
    /// What is run once ahead of its objects.
    pub before: Vec<Hook>,
    /// What is run once when it is ready.
    pub after: Vec<Hook>,
    /// What is run when it goes, while all of it is still there.
    pub leaving: Vec<Hook>,
}

/// An object that does something once, a Job most of the time, or what that one needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    pub on: HookOn,
    pub object: Value,
}

/// When an object of a hook comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookOn {
    Both,
    Install,
    Upgrade,
}

impl AddonObjects {
    /// Its place in the tree.
    #[must_use]
    pub fn path(name: &str, version: &str) -> Utf8PathBuf {
        format!("addons/{name}/{version}/addon.json").into()
    }

    /// As it is written: JSON that people can read as well.
    #[must_use]
    #[allow(clippy::missing_panics_doc)] // never: all keys of its maps are texts
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("objects are plain data");
        bytes.push(b'\n');
        bytes
    }

    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// How the files of an addon are called in `bundle.json`.
#[must_use]
pub fn addon_component(name: &str) -> String {
    format!("addon-{name}")
}

/// What tells apart what was made of one entry of a config from what was made of another.
#[must_use]
pub fn entry_digest(cluster: &Cluster, addon: &Addon) -> String {
    let openebs = addon.known() == Some(KnownAddon::OpenebsLocalpv);
    let storage = cluster.spec.storage.openebs.as_ref().filter(|_| openebs);
    let all = json!([addon, storage]).to_string();
    Sha256::of(all.as_bytes()).to_string()[..8].to_owned()
}

/// `0.16.1-k1.36-1a2b3c4d`: an addon by its own version, for a minor of Kubernetes, made of just this entry.
#[must_use]
pub fn addon_version(cluster: &Cluster, addon: &Addon, own: &str) -> String {
    let (major, minor) = cluster.spec.kubernetes.version.minor();
    let entry = entry_digest(cluster, addon);
    format!("{own}-k{major}.{minor}-{entry}")
}
