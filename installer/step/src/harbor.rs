//! Harbor's installer on its host. It is Harbor's own: what of it is run here is what its makers' `install.sh` runs.

mod prepare;
mod unpack;

pub use prepare::PrepareHarbor;
pub use unpack::{HarborArchive, UnpackHarbor};

/// Where its installer, its configuration and what that makes of it lie.
pub const HARBOR_HOME: &str = "/opt/kubexm-harbor";
/// Where its containers write what they say.
const LOGS: &str = "/var/log/harbor";
/// The installer calls docker by its name.
const PATH: &str = "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin; export PATH";
