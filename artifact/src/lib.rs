//! The contract between the halves: the tree's layout, `bundle.json` and the `.tar.zst`.
//!
//! The bundling half writes what is described here, the installing half reads it, and neither knows more of the other.

mod digest;
mod layout;
mod manifest;

pub use digest::{ParseDigestError, Sha256};
pub use layout::{Tree, WorkDir};
pub use manifest::{
    FORMAT, FileEntry, ImageEntry, Manifest, PlatformEntry, Program, ProgramFile,
};
