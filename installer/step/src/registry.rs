//! A client for the site's registry: the few requests of the distribution API that a push needs.
//!
//! Not `oci-client`: the site's registry must never be asked for through a proxy, which that crate takes from the
//! environment with no way to forbid it, and it mounts no blob without losing what the registry answers.

mod any_of;
mod client;
pub(crate) mod credentials;
mod error;
mod garbage;
mod given;
mod harbor;
mod held;
mod login;
mod push;
pub(crate) mod push_images;
mod trust;
mod whole;

use std::net::IpAddr;

use artifact::Sha256;
use camino::Utf8PathBuf;
use reqwest::Url;

use crate::SiteNames;

pub use any_of::AnyOf;
pub use client::RobotRights;
pub(crate) use client::{Begun, Found, HarborHealth, Held, Registry, unreadable};
pub use credentials::{PrepareRegistryCredentials, RegistryCredentials, RegistryUser};
pub(crate) use error::RegistryError;
pub use garbage::CollectGarbage;
pub use given::{AskRegistry, LearnLogin, LoginManner, RegistryLogin};
pub use harbor::{AwaitHarbor, MakeProjects, MakeRobot};
pub use held::{ForgetImages, HeldImage, ListImages};
pub(crate) use push::Push;
pub use push_images::PushImages;
pub use trust::{GatherTrust, Trust};
pub(crate) use whole::{Flaw, look};

/// The site's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRegistry {
    /// Where it listens, e.g. `https://172.16.0.5:5000`.
    pub url: String,
    /// Where the name in it leads, if no DNS says so.
    pub at: Vec<IpAddr>,
    pub trust: Trust,
    pub names: SiteNames,
    pub keeper: Keeper,
}

/// Who looks after a registry's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// kubexm, on the registry's host, where it lies in this directory.
    Kubexm { data_dir: Utf8PathBuf },
    /// Whoever set it up.
    Others,
}

impl SiteRegistry {
    pub(crate) fn port(&self) -> Option<u16> {
        Url::parse(&self.url).ok()?.port_or_known_default()
    }
}

impl Keeper {
    /// Where a content lies on the registry's host, as distribution keeps it.
    pub(crate) fn place_of(&self, content: Sha256) -> Option<Utf8PathBuf> {
        let Self::Kubexm { data_dir } = self else {
            return None;
        };
        let hex = content.to_string();
        let blobs = data_dir.join("docker/registry/v2/blobs/sha256");
        Some(blobs.join(&hex[..2]).join(hex))
    }
}
