//! Packages of rpm systems: Rocky, Alma, `CentOS` Stream, openEuler, Kylin.
//!
//! In order: [`repomd`] verifies what a repository has, [`primary`] and [`filelists`] read it, a [`universe`] lowers it to
//! the solver's question and its answer back to packages, [`header`] judges the files themselves, and [`repository`] makes
//! the repository that travels along.

mod checksum;
pub mod claims;
pub mod filelists;
pub mod header;
mod metadata;
pub mod modules;
pub mod primary;
pub mod relation;
pub mod repomd;
pub mod repository;
mod resolve;
pub mod universe;
pub mod version;
mod xml;

pub use checksum::Sha256;
pub use metadata::{MetadataError, Part};
pub use resolve::resolve;
pub use universe::Universe;
