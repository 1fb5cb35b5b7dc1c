//! A bundle, from config to file: resolve, plan, fetch, prove complete, pack.
//!
//! [`plan`] only shows what a bundle would hold. [`prepare`] works out every detail, and [`Prepared::run`] acts on it.

mod addons;
mod assemble;
mod before;
mod collect;
mod guard;
mod inspected;
mod layout;
mod output;
mod packed;
mod parity;
mod piece;
mod prepare;
mod prove;
mod run;
mod segments;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use artifact::{Base, ParityFile, Percent, Segment, Sha256, Signer, WorkDir};
use camino::Utf8PathBuf;
use cluster::{Arch, Cluster, Version};

use crate::fetch::HttpOptions;
use crate::images::RegistryAccess;
use crate::lock::LockMode;
use crate::mirror::Mirrors;

pub use guard::Guard;
pub use output::OutputError;
pub use prepare::{plan, prepare, prepare_tree};
pub(crate) use run::on_thread;
pub use run::{Filled, Prepared};

/// What a person asked for.
#[derive(Debug)]
pub struct Request {
    pub cluster: Cluster,
    /// The version of a living cluster: the bundle holds each release that leads from there to the config's.
    pub upgrade_from: Option<Version>,
    /// Instead of the config's own, where not empty.
    pub arches: BTreeSet<Arch>,
    pub work_dir: WorkDir,
    /// `kubexm.lock` beside the config.
    pub lock: Utf8PathBuf,
    pub lock_mode: LockMode,
    /// What the lock pins and is to be chosen anew all the same.
    pub update: BTreeSet<Update>,
    /// The bundle to write.
    pub out: Utf8PathBuf,
    pub mirrors: Mirrors,
    pub http: HttpOptions,
    /// What the receiver has: then the bundle carries only what is new there.
    pub since: Option<Since>,
    /// The bundle is cut where one file would be larger.
    pub segment_size: Option<u64>,
    /// So much parity of all its files is written beside it.
    pub parity: Option<Percent>,
    /// Fetches at once.
    pub jobs: NonZeroUsize,
    /// How upstream registries are talked to, by host.
    pub access: BTreeMap<String, RegistryAccess>,
    /// Armored public keys that packages of operating systems may be signed with, beside those that kubexm knows.
    pub keyrings: Vec<String>,
    pub signer: Option<Signer>,
    /// The installer itself, which travels along: one program per architecture.
    pub kubexm: Vec<Kubexm>,
}

/// What somebody has told of a receiver, and the file that told it.
#[derive(Debug)]
pub struct Since {
    pub path: Utf8PathBuf,
    pub base: Base,
}

/// Pins that give way to what upstream has now. A file of a version is not among them: it does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Update {
    /// Packages of operating systems.
    Systems,
    /// What the references of images mean.
    Images,
}

/// A kubexm program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubexm {
    pub arch: Arch,
    pub path: Utf8PathBuf,
}

impl Kubexm {
    /// Its path in the tree.
    fn member(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("kubexm/{}/kubexm", self.arch))
    }
}

/// A bundle that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub out: Utf8PathBuf,
    /// The length of the file.
    pub size: u64,
    /// What identifies the bundle.
    pub digest: Sha256,
    /// The bytes of all members together.
    pub content: u64,
    pub files: usize,
    /// How many members the file carries of how many that the contents list.
    pub carried: (usize, usize),
    pub images: usize,
    /// The files of the bundle, where these are several.
    pub segments: Vec<Segment>,
    pub parity: Vec<ParityFile>,
    /// Packages of operating systems.
    pub packages: usize,
    /// How many of all these had to be fetched.
    pub fetched: usize,
    /// The kubexm programs written beside the bundle.
    pub kubexm: Vec<Utf8PathBuf>,
}
