use serde::Serialize;

use crate::template;

/// `/etc/crio/crio.conf.d/10-kubexm.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct Crio {
    pub data_dir: String,
    /// The bundled pause image, pinned.
    pub sandbox_image: String,
    /// The login at the site's registry; empty where there is none.
    pub login_file: String,
    /// Where its own programs are.
    pub programs_dir: String,
    pub default_runtime: String,
    pub runtimes: Vec<OciRuntime>,
}
template!(Crio, "crio.toml.j2");

/// What starts containers.
#[derive(Clone, Debug, Serialize)]
pub struct OciRuntime {
    pub name: String,
    pub path: String,
    /// Its configuration, where it starts virtual machines.
    pub machines: Option<String>,
}

/// `crio.service`.
#[derive(Clone, Debug, Serialize)]
pub struct CrioUnit {
    pub data_dir: String,
    pub programs_dir: String,
}
template!(CrioUnit, "crio.service.j2");

/// `/etc/containers/registries.conf.d/*.conf`: where images of the world are in the site.
#[derive(Clone, Debug, Serialize)]
pub struct RegistriesConf {
    pub remaps: Vec<Remap>,
    /// Top-level domains that no registry is asked in.
    pub blocked: Vec<String>,
}
template!(RegistriesConf, "registries.conf.j2");

/// A registry of the world, and where its images are in the site.
#[derive(Clone, Debug, Serialize)]
pub struct Remap {
    pub host: String,
    /// They are asked before the last.
    pub first: Vec<Location>,
    pub last: Location,
}

/// `registry.site:5000/docker.io`
#[derive(Clone, Debug, Serialize)]
pub struct Location {
    pub path: String,
    /// Its certificate is not checked, and it may have none.
    pub unchecked: bool,
}

/// Logins at registries, as Docker and its kin keep them.
#[derive(Clone, Serialize)]
pub struct DockerLogins {
    pub logins: Vec<DockerLogin>,
}
template!(DockerLogins, "docker-logins.json.j2");

#[derive(Clone, Serialize)]
pub struct DockerLogin {
    /// `registry.site:5000`
    pub registry: String,
    /// User and password in base64.
    pub login: String,
}

/// Every image is taken: the site's registry holds what was proven when it was bundled.
pub const IMAGE_POLICY: &str = include_str!("../files/policy.json");

/// The `RuntimeClass` objects: what pods name, and which nodes have it.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeClasses {
    pub classes: Vec<PodRuntime>,
}
template!(RuntimeClasses, "runtime-classes.yaml.j2");

#[derive(Clone, Debug, Serialize)]
pub struct PodRuntime {
    pub name: String,
    /// The label of nodes that have it.
    pub label: String,
    /// A virtual machine takes something for itself.
    pub machines: bool,
}

/// `docker.service`.
#[derive(Clone, Debug, Serialize)]
pub struct DockerUnit {
    pub data_dir: String,
}
template!(DockerUnit, "docker.service.j2");

/// `cri-docker.service`.
#[derive(Clone, Debug, Serialize)]
pub struct CriDockerUnit {
    pub arguments: Vec<String>,
}
template!(CriDockerUnit, "cri-docker.service.j2");
