//! Images: in the tree, by name, on nodes.

mod archive;
mod cri;
mod import;
pub(crate) mod layout;
pub(crate) mod name;
mod programs;
mod pull_sandbox;
mod renew;

pub use archive::{ImageArchives, NodeImage};
pub use cri::{PullImages, PullScope, Puller};
pub use import::{Containerd, ImportImages};
pub use name::SiteNames;
pub use programs::UnpackImagePrograms;
pub use pull_sandbox::PullSandboxImage;
pub use renew::RenewImages;
