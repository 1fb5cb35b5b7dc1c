use serde::Serialize;

use crate::template;

/// What a registry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryTakes {
    Pushes,
    /// It only gives.
    Nothing,
}

/// `/etc/kubexm-registry/config.yml`.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryConfig {
    pub port: u16,
    pub data_dir: String,
    pub certificate: String,
    pub key: String,
    pub htpasswd: String,
    pub takes: RegistryTakes,
}
template!(RegistryConfig, "registry.yml.j2");

/// `kubexm-registry.service`.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryUnit {
    pub config: String,
    pub data_dir: String,
    /// What must be mounted.
    pub mount: Option<String>,
    pub takes: RegistryTakes,
}
template!(RegistryUnit, "registry.service.j2");

/// `harbor.yml`, which Harbor's installer reads.
#[derive(Clone, Serialize)]
pub struct HarborConfig {
    pub domain: String,
    pub http_port: u16,
    pub port: u16,
    pub certificate: String,
    pub key: String,
    pub admin_password: String,
    pub database_password: String,
    pub data_dir: String,
    /// `2.14.0`
    pub version: String,
}
template!(HarborConfig, "harbor.yml.j2");

/// `kubexm-harbor.service`.
#[derive(Clone, Debug, Serialize)]
pub struct HarborUnit {
    /// Where its `docker-compose.yml` is.
    pub home: String,
    pub data_dir: String,
    /// What must be mounted.
    pub mount: Option<String>,
}
template!(HarborUnit, "harbor.service.j2");
