use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Arch, Bastion, ControlPlaneEndpoint, Dns, Etcd, Host, Kubernetes, Network, Registry,
    RoleGroups, Storage, System, Tag, Tool,
};

/// What a person wants: the whole of a `config.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "kubexm cluster")]
pub struct Cluster {
    /// The format of this file.
    pub api_version: ApiVersion,
    /// What the file describes.
    pub kind: Kind,
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: Spec,
}

/// The format of a config file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    #[serde(rename = "kubexm.mensylisir.io/v1alpha1")]
    V1Alpha1,
}

/// What a config file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    Cluster,
}

/// What the cluster is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The cluster's name. Its tree on disk is named by it.
    #[schemars(extend("format" = "dns-label"))]
    pub name: String,
}

/// Everything about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spec {
    /// The machines. May be absent when bundling; then `arch` says what for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// Which machine does what.
    pub role_groups: RoleGroups,
    /// The jump host in front of every host that names none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
    /// Architectures to bundle for, beside those of the hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arch: Vec<Arch>,
    /// How the apiservers are reached.
    pub control_plane_endpoint: ControlPlaneEndpoint,
    /// Settings of the operating system.
    pub system: System,
    pub kubernetes: Kubernetes,
    pub etcd: Etcd,
    pub network: Network,
    #[serde(skip_serializing_if = "Storage::is_empty")]
    pub storage: Storage,
    pub registry: Registry,
    /// Images of your own that the bundle carries and the site's registry serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "image" }))]
    pub images: Vec<String>,
    /// Optional programs. Absent: helm, and those that go with the chosen runtime and network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    /// Versions of components and tags of images that have no key of their own, by name: `runc: v1.3.3`, `pause: "3.9"`. Absent: those that go with the Kubernetes version.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, Tag>,
    /// Addons to install, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "dns-label" }))]
    pub addons: Vec<String>,
    /// Lines that are added to `/etc/hosts` on every host.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("format" = "hosts-file"))]
    pub host: String,
    pub dns: Dns,
}

impl Cluster {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Every architecture that the bundle must serve: those of the hosts and of `spec.arch`.
    #[must_use]
    pub fn arches(&self) -> BTreeSet<Arch> {
        self.spec
            .hosts
            .iter()
            .map(|host| host.arch)
            .chain(self.spec.arch.iter().copied())
            .collect()
    }
}
