use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hosts::is_false;
use crate::{Acts, Cluster, Secret, Version};

/// The site's image registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Registry {
    /// What is set up on the host of the role `registry`. `install` refuses `harbor` for now.
    #[serde(rename = "type")]
    pub kind: RegistryType,
    /// The registry's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "the newest known"))]
    pub version: Option<Version>,
    /// The port it listens on. One in `privateRegistry` wins.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The registry's domain, perhaps with a port. Every host gets it in `/etc/hosts`.
    #[schemars(extend("format" = "registry-domain"))]
    pub private_registry: String,
    /// The project that all images are put into: `a/b`. Empty: the original registry's host alone is the prefix.
    #[schemars(extend("format" = "namespace"))]
    pub namespace_override: String,
    /// Who may use a registry, and how it is talked to; by the registry's domain, with its port if it has one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auths: BTreeMap<String, RegistryAuth>,
    /// Where containerd keeps its data, on every node. Preflight asks for four times the images' compressed size there.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub containerd_data_dir: Utf8PathBuf,
    /// Where Docker keeps its data, on every node.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub docker_data_dir: Utf8PathBuf,
    /// Where the registry keeps its data. Preflight asks for the size of all images there.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub registry_data_dir: Utf8PathBuf,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            kind: RegistryType::Registry,
            version: None,
            port: 5000,
            private_registry: "dockerhub.kubexm.local".to_owned(),
            namespace_override: String::new(),
            auths: BTreeMap::new(),
            containerd_data_dir: "/var/lib/containerd".into(),
            docker_data_dir: "/var/lib/docker".into(),
            registry_data_dir: "/mnt/registry".into(),
        }
    }
}

/// Which registry program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RegistryType {
    /// That of the distribution project.
    #[default]
    Registry,
    /// Published for amd64 alone before 2.16.
    #[schemars(extend("x-acts" = Acts::Bundle))]
    Harbor,
}

impl RegistryType {
    /// The name in the config, and of its folder in the tree.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Harbor => "harbor",
        }
    }
}

/// Who may use a registry, and how it is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryAuth {
    /// Who logs in. Where the domain is the site's own registry, it is the login that is set up there; where it is another,
    /// it is used when bundling.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "none; `kubexm` for the site's own registry"))]
    pub username: Option<String>,
    /// That user's password; for the site's own registry at most 72 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "none; a random one for the site's own registry"))]
    pub password: Option<Secret>,
    /// When bundling: do not check that registry's certificate.
    #[serde(rename = "skipTLSVerify", skip_serializing_if = "is_false")]
    pub skip_tls_verify: bool,
    /// When bundling: talk plain HTTP to it.
    #[serde(rename = "plainHTTP", skip_serializing_if = "is_false")]
    pub plain_http: bool,
    /// When bundling: a folder whose `*.crt` are trusted for that registry. Client certificates (`*.cert`, `*.key`) are not
    /// used yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub certs_path: Option<Utf8PathBuf>,
}

impl Cluster {
    /// The domain of the site's registry, without its port.
    #[must_use]
    pub fn registry_domain(&self) -> &str {
        let text = self.spec.registry.private_registry.as_str();
        text.split_once(':').map_or(text, |(domain, _)| domain)
    }

    /// The site's registry as it stands in an image reference: `dockerhub.kubexm.local:5000`.
    #[must_use]
    pub fn registry_authority(&self) -> String {
        format!("{}:{}", self.registry_domain(), self.registry_port())
    }

    /// The port of the site's registry. One in `privateRegistry` wins.
    #[must_use]
    pub fn registry_port(&self) -> u16 {
        let registry = &self.spec.registry;
        let written = registry.private_registry.split_once(':');
        written
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(registry.port)
    }

    /// What `registry.auths` says about the site's own registry.
    #[must_use]
    pub fn registry_auth(&self) -> Option<&RegistryAuth> {
        let auths = &self.spec.registry.auths;
        auths
            .get(&self.registry_authority())
            .or_else(|| auths.get(self.registry_domain()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_registrys_port_may_stand_in_its_domain() {
        let mut cluster = crate::parse("c.yaml", crate::init_template())
            .unwrap()
            .cluster;
        assert_eq!(cluster.registry_authority(), "dockerhub.kubexm.local:5000");
        cluster.spec.registry.private_registry = "hub.example.com:443".to_owned();
        assert_eq!(
            (cluster.registry_domain(), cluster.registry_port()),
            ("hub.example.com", 443)
        );
    }
}
