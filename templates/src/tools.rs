use serde::Serialize;

use crate::template;

/// What bash completes a command by: the program itself tells it, and so it is never that of another version.
#[derive(Clone, Debug, Serialize)]
pub struct BashCompletion {
    pub program: String,
}
template!(BashCompletion, "bash-completion.j2");

/// `/etc/nerdctl/nerdctl.toml`.
#[derive(Clone, Debug, Serialize)]
pub struct NerdctlConfig {
    /// Where containerd listens.
    pub socket: String,
    /// containerd's `certs.d`.
    pub hosts_dir: String,
}
template!(NerdctlConfig, "nerdctl.toml.j2");

/// `/etc/buildkit/buildkitd.toml`.
#[derive(Clone, Debug, Serialize)]
pub struct BuildkitConfig {
    /// Where containerd listens.
    pub socket: String,
    pub registries: Vec<BuildkitRegistry>,
}
template!(BuildkitConfig, "buildkitd.toml.j2");

/// A host that references begin with.
#[derive(Clone, Debug, Serialize)]
pub struct BuildkitRegistry {
    pub host: String,
    /// `registry.site:5000/docker.io`: asked in their order, before the host itself.
    pub mirrors: Vec<String>,
    /// A file with its authorities.
    pub ca_file: Option<String>,
    /// Its certificate is not looked at.
    pub unchecked: bool,
    /// It has no TLS.
    pub plain: bool,
}

/// `buildkit.service`.
#[derive(Clone, Debug, Serialize)]
pub struct BuildkitUnit {}
template!(BuildkitUnit, "buildkit.service.j2");
