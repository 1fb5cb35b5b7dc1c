//! The container runtime.

mod remove_containers;
mod run_containerd;

pub use remove_containers::RemoveContainers;
pub use run_containerd::RunContainerd;
