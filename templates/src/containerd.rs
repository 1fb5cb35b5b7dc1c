use serde::Serialize;

use crate::template;

/// `/etc/containerd/config.toml` of containerd 1.7 (`version = 2`).
#[derive(Clone, Debug, Serialize)]
pub struct Containerd1 {
    pub data_dir: String,
    /// The bundled pause image, pinned.
    pub sandbox_image: String,
}
template!(Containerd1, "containerd-1.toml.j2");

/// `/etc/containerd/config.toml` of containerd 2.x (`version = 3`).
#[derive(Clone, Debug, Serialize)]
pub struct Containerd2 {
    pub data_dir: String,
    /// The bundled pause image, pinned.
    pub sandbox_image: String,
}
template!(Containerd2, "containerd-2.toml.j2");

/// `containerd.service`.
#[derive(Clone, Debug, Serialize)]
pub struct ContainerdUnit {}
template!(ContainerdUnit, "containerd.service.j2");

/// `/etc/containerd/certs.d/<host>/hosts.toml`: every pull of that host's images goes to the site's registry and
/// nowhere else.
#[derive(Clone, Serialize)]
pub struct RegistryHosts {
    /// `https://registry.site:5000/v2/<namespace>/<host>`.
    pub endpoint: String,
    pub ca_file: String,
    /// The value of the `Authorization` header.
    pub authorization: String,
}
template!(RegistryHosts, "hosts.toml.j2");

/// `/etc/crictl.yaml`.
#[derive(Clone, Debug, Serialize)]
pub struct Crictl {
    /// `unix:///run/containerd/containerd.sock`.
    pub endpoint: String,
}
template!(Crictl, "crictl.yaml.j2");
