use serde::Serialize;

use crate::template;

/// `/etc/containerd/config.toml` of containerd 1.7 (`version = 2`).
#[derive(Clone, Serialize)]
pub struct Containerd1 {
    pub data_dir: String,
    /// The bundled pause image, pinned.
    pub sandbox_image: String,
    pub logins: Vec<RegistryLogin>,
    pub handlers: Vec<ContainerdHandler>,
}
template!(Containerd1, "containerd-1.toml.j2");

/// `/etc/containerd/config.toml` of containerd 2.x (`version = 3`).
#[derive(Clone, Serialize)]
pub struct Containerd2 {
    pub data_dir: String,
    /// The bundled pause image, pinned.
    pub sandbox_image: String,
    pub logins: Vec<RegistryLogin>,
    pub handlers: Vec<ContainerdHandler>,
}
template!(Containerd2, "containerd-2.toml.j2");

/// Another way to run containers.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerdHandler {
    pub name: String,
    pub kind: ContainerdHandlerKind,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerdHandlerKind {
    /// A program that is called as runc is.
    Program(String),
    /// A shim of its own with its configuration, which starts virtual machines.
    Shim { path: String, config: String },
}

/// A login that a registry gives tokens for: what `hosts.toml` has is not sent to whoever gives them.
#[derive(Clone, Serialize)]
pub struct RegistryLogin {
    /// `hub.corp:5000`
    pub authority: String,
    pub username: String,
    pub password: String,
}

/// `containerd.service`.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerdUnit {}
template!(ContainerdUnit, "containerd.service.j2");

/// `/etc/containerd/certs.d/<host>/hosts.toml`: who is asked for that host's images, one after the other, and nobody else.
#[derive(Clone, Serialize)]
pub struct RegistryHosts {
    /// In their order.
    pub first: Vec<RegistryHost>,
    pub last: RegistryHost,
}
template!(RegistryHosts, "hosts.toml.j2");

/// A registry as containerd asks it.
#[derive(Clone, Serialize)]
pub struct RegistryHost {
    /// `https://registry.site:5000/v2/<namespace>/<host>`.
    pub endpoint: String,
    /// None where the system's authorities are trusted.
    pub ca_file: Option<String>,
    /// Its certificate is not looked at.
    pub unchecked: bool,
    /// The value of the `Authorization` header.
    pub authorization: Option<String>,
}

/// `/etc/crictl.yaml`.
#[derive(Clone, Debug, Serialize)]
pub struct Crictl {
    /// `unix:///run/containerd/containerd.sock`.
    pub endpoint: String,
}
template!(Crictl, "crictl.yaml.j2");
