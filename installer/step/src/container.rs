//! The container runtime.

mod end_pods;
mod facts;
mod remove_containers;
mod replacement;
mod run_runtime;

pub use end_pods::{EndPods, EndReplacement, ResumeKubelet};
pub use facts::{CONTAINERD, CRIO, DOCKER, Outlived, RuntimeFacts};
pub use remove_containers::RemoveContainers;
pub use replacement::{IfReplaced, LookAtRuntime, Replacement, RuntimeChange, WantedRuntime};
pub use run_runtime::RunRuntime;
