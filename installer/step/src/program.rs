//! Programs out of their archives, and onto hosts.

mod by_format;
mod install;
mod link;
mod unpack;

pub use by_format::ByFormat;
pub use install::{InstallPrograms, LocalProgram};
pub use link::LinkProgram;
pub use unpack::{PackedProgram, UnpackPrograms};
