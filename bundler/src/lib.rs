//! Everything from the outside: resolve, fetch, prove complete, pack.

mod access;
mod addons;
mod bundle;
mod check;
mod error;
pub mod fetch;
mod hash;
mod hops;
pub mod images;
mod inspect;
mod kubeadm;
mod lock;
mod manifest;
pub mod mirror;
mod oldest_glibc;
mod packages;
mod plan;
mod resolve;
#[cfg(test)]
mod testing;

pub use access::registry_access;
pub use addons::AddonError;
pub use bundle::{
    Filled, Guard, Kubexm, OutputError, Prepared, Report, Request, Since, Update, plan, prepare,
    prepare_tree,
};
pub use check::check;
pub use error::{BundleError, Failed, Fault};
pub use lock::{Difference, Lock, LockError, LockMode};
pub use packages::{PackageError, Wishes};
pub use plan::{Extent, Pin, Plan, Row, RowKind};
pub use resolve::ResolveFailure;
