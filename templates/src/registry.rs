use serde::Serialize;

use crate::template;

/// `/etc/kubexm-registry/config.yml`.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryConfig {
    pub port: u16,
    pub data_dir: String,
    pub certificate: String,
    pub key: String,
    pub htpasswd: String,
}
template!(RegistryConfig, "registry.yml.j2");

/// `kubexm-registry.service`.
#[derive(Clone, Debug, Serialize)]
pub struct RegistryUnit {
    pub config: String,
    pub data_dir: String,
}
template!(RegistryUnit, "registry.service.j2");
