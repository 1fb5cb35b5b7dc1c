//! Debian's format: `Release` and `Packages`, relations, `.deb` files, and a repository made of these.

pub mod control;
pub mod index;
pub mod relation;
pub mod release;
pub mod repository;
mod resolve;
mod universe;
pub mod version;

pub use index::IndexError;
pub use release::{IndexFile, Release, ReleaseError};
pub use resolve::resolve;
pub use universe::{BaseRule, Universe};
