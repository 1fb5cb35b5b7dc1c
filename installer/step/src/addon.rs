//! Addons: objects that bundling has made ready are applied, waited for, and taken away again.
//!
//! What was applied is noted in the cluster itself ([`inventory`]), so that whatever another version of an addon no longer has can
//! go, and so that an addon can be removed by whoever has nothing but its name.

mod apply;
mod hooks;
mod inventory;
mod kubectl;
mod ready;
mod remove;
mod served;

pub use apply::ApplyAddon;
pub use ready::ProveAddon;
pub use remove::RemoveAddon;
