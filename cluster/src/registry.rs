use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hosts::is_false;
use crate::{Cluster, Host, IpPair, Role, Secret, Version};

/// The site's image registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Registry {
    /// What is set up on the hosts of the role `registry`, or that the site has a registry already.
    #[serde(rename = "type")]
    pub kind: RegistryType,
    /// The registry's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "the newest known"))]
    pub version: Option<Version>,
    /// The port it listens on. One in `privateRegistry` wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-default" = "5000; 443 with `type: external`"))]
    pub port: Option<u16>,
    /// A second port of the site's own registry, where it can only be read. Nodes then pull from there, with an account of their own that can
    /// push nowhere; what is pushed goes to `port`. Only for `type: registry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-default" = "none; nodes have the account that pushes"))]
    pub read_only_port: Option<u16>,
    /// The registry's domain, perhaps with a port. Every host gets it in `/etc/hosts`; with `type: external` only where `address`
    /// is given.
    #[schemars(extend("format" = "registry-domain"))]
    pub private_registry: String,
    /// With `type: external`: where its domain leads, for sites whose DNS does not say so. Every host gets it in `/etc/hosts`.
    #[serde(skip_serializing_if = "IpPair::is_empty")]
    pub address: IpPair,
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
    /// The mount point of the disk or the NFS share that `registryDataDir` is on. Nothing is put there while it is not mounted, and
    /// the registry waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "absolute-path"))]
    pub registry_mount: Option<Utf8PathBuf>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            kind: RegistryType::Registry,
            version: None,
            port: None,
            read_only_port: None,
            address: IpPair::default(),
            private_registry: "dockerhub.kubexm.local".to_owned(),
            namespace_override: String::new(),
            auths: BTreeMap::new(),
            containerd_data_dir: "/var/lib/containerd".into(),
            docker_data_dir: "/var/lib/docker".into(),
            registry_data_dir: "/mnt/registry".into(),
            registry_mount: None,
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
    /// With docker and compose, on one host that is no node. Published for amd64 alone before 2.16.
    Harbor,
    /// One that the site has already, at `privateRegistry`. Images are pushed there, nodes pull from there, and nothing else is done
    /// to it.
    External,
}

impl RegistryType {
    /// The name in the config, and of its folder in the tree.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Harbor => "harbor",
            Self::External => "external",
        }
    }
}

/// Who may use a registry, and how it is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistryAuth {
    /// Who logs in. Where the domain is the site's own registry, it is the login that is set up there, or with `type: external` the
    /// one that images are pushed and pulled with; where it is another, it is used when bundling, and by nodes that ask it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "none; `kubexm` for the site's own registry"))]
    pub username: Option<String>,
    /// That user's password; for the site's own registry at most 72 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "none; a random one for the site's own registry"))]
    pub password: Option<Secret>,
    /// Who pulls on the nodes, where that is another account than the one that pushes: it needs no right to push. Only for the site's
    /// registry, of `type: external` or with `readOnlyPort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "the same account; with `readOnlyPort` `kubexm-nodes` and a random password"))]
    pub pull: Option<RegistryAccount>,
    /// Nodes ask this registry itself for what is named by it: behind the site's registry, where there is one. Without it,
    /// what is said here of another registry is for bundling alone.
    #[serde(skip_serializing_if = "is_false")]
    pub on_nodes: bool,
    /// Do not check that registry's certificate.
    #[serde(rename = "skipTLSVerify", skip_serializing_if = "is_false")]
    pub skip_tls_verify: bool,
    /// Talk plain HTTP to it.
    #[serde(rename = "plainHTTP", skip_serializing_if = "is_false")]
    pub plain_http: bool,
    /// A folder of the machine that kubexm runs on, whose `*.crt` are trusted for that registry. Client certificates (`*.cert`,
    /// `*.key`) are not used yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub certs_path: Option<Utf8PathBuf>,
}

/// An account of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryAccount {
    /// Who logs in.
    pub username: String,
    /// That user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Where a site has the images of its bundle.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageHome<'c> {
    /// On every node: they are imported there.
    Nodes,
    /// In a registry on these hosts, of which there is at least one.
    Hosts(Vec<&'c Host>),
    /// In a registry that was there before.
    External,
}

/// Where the site's own registry listens, unless the config says otherwise.
const OWN_PORT: u16 = 5000;
const HTTPS: u16 = 443;

impl Cluster {
    /// The domain of the site's registry, without its port.
    #[must_use]
    pub fn registry_domain(&self) -> &str {
        let text = self.spec.registry.private_registry.as_str();
        text.split_once(':').map_or(text, |(domain, _)| domain)
    }

    /// The site's registry as it stands in an image reference: `dockerhub.kubexm.local:5000`; without a port that nobody has written
    /// and that goes without saying.
    #[must_use]
    pub fn registry_authority(&self) -> String {
        let written = self.spec.registry.private_registry.contains(':');
        match self.registry_port() {
            HTTPS if !written && self.spec.registry.kind == RegistryType::External => {
                self.registry_domain().to_owned()
            }
            port => format!("{}:{port}", self.registry_domain()),
        }
    }

    /// The port of the site's registry. One in `privateRegistry` wins.
    #[must_use]
    pub fn registry_port(&self) -> u16 {
        let registry = &self.spec.registry;
        let written = registry.private_registry.split_once(':');
        written
            .and_then(|(_, port)| port.parse().ok())
            .or(registry.port)
            .unwrap_or(match registry.kind {
                RegistryType::External => HTTPS,
                RegistryType::Registry | RegistryType::Harbor => OWN_PORT,
            })
    }

    /// Where the images of the bundle are.
    #[must_use]
    pub fn image_home(&self) -> ImageHome<'_> {
        if self.spec.registry.kind == RegistryType::External {
            return ImageHome::External;
        }
        let hosts = self.hosts_in(Role::Registry);
        if hosts.is_empty() {
            ImageHome::Nodes
        } else {
            ImageHome::Hosts(hosts)
        }
    }

    /// Whether nodes have an account of their own at the registry that kubexm sets up, which can only read.
    #[must_use]
    pub fn nodes_only_read(&self) -> bool {
        match self.spec.registry.kind {
            RegistryType::Registry => self.spec.registry.read_only_port.is_some(),
            RegistryType::Harbor => true,
            RegistryType::External => false,
        }
    }

    /// Whether nodes have a registry of the site to pull from.
    #[must_use]
    pub fn has_registry(&self) -> bool {
        self.spec.registry.kind == RegistryType::External || self.registry_host().is_some()
    }

    /// The names under which `registry.auths` may speak of the site's own registry.
    #[must_use]
    pub fn registry_names(&self) -> [String; 3] {
        let domain = self.registry_domain();
        let with_port = format!("{domain}:{}", self.registry_port());
        [self.registry_authority(), with_port, domain.to_owned()]
    }

    /// What `registry.auths` says about the site's own registry.
    #[must_use]
    pub fn registry_auth(&self) -> Option<&RegistryAuth> {
        let auths = &self.spec.registry.auths;
        let names = self.registry_names();
        names.iter().find_map(|name| auths.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        let text = crate::init_template();
        crate::parse("c.yaml", text).unwrap().cluster
    }

    #[test]
    fn the_registrys_port_may_stand_in_its_domain() {
        let mut cluster = cluster();
        assert_eq!(cluster.registry_authority(), "dockerhub.kubexm.local:5000");
        cluster.spec.registry.private_registry = "hub.example.com:443".to_owned();
        assert_eq!(
            (cluster.registry_domain(), cluster.registry_port()),
            ("hub.example.com", 443)
        );
    }

    #[test]
    fn the_port_of_https_goes_without_saying_for_one_that_was_there_before() {
        let mut cluster = cluster();
        cluster.spec.registry.kind = RegistryType::External;
        cluster.spec.registry.private_registry = "hub.example.com".to_owned();
        assert_eq!(cluster.registry_authority(), "hub.example.com");
        assert_eq!(cluster.registry_port(), 443);
        cluster.spec.registry.port = Some(8443);
        assert_eq!(cluster.registry_authority(), "hub.example.com:8443");
        cluster.spec.registry.private_registry = "hub.example.com:443".to_owned();
        assert_eq!(cluster.registry_authority(), "hub.example.com:443");
    }
}
