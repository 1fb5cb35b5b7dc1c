//! The Cluster config: what a person writes, as types with defaults and validation.

mod arch;

pub use arch::{Arch, UnknownArch};
