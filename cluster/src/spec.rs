use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Addon, Arch, Bastion, ControlPlaneEndpoint, Dns, Etcd, Host, Kubernetes, Network, OwnImage,
    Registry, RoleGroups, Storage, System, Tag, Tool,
};

/// What a person wants: the whole of a `config.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "kubexm cluster")]
pub struct Cluster {
    /// The format of this file.
    pub api_version: ApiVersion,
    /// What this file describes.
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
    /// The cluster's name. Its tree `.kubexm/<name>/`, its mark on hosts and etcd's token are named by it. A host may be
    /// called the same.
    #[schemars(extend("format" = "dns-label"))]
    pub name: String,
}

/// Everything about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Spec {
    /// The machines. They may be absent for `bundle`; then `spec.arch` or `--arch` says what for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// Which machine does what.
    pub role_groups: RoleGroups,
    /// The jump host in front of every host that names none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
    /// Architectures to bundle for, beside those of the hosts. `--arch` takes the place of both.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-default" = "those of the hosts"))]
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
    /// Images of your own that travel along and are served by the site's registry: `docker.io/library/nginx:1.29`.
    /// Without a host `docker.io` is meant, without a tag `latest`. One that is not made for all architectures of the bundle is
    /// `{image: docker.io/me/app:1, arch: [amd64]}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<OwnImage>,
    /// Programs to work with the cluster: the bundle carries them, and `install` brings them to the hosts. `[]` means none, but for
    /// calicoctl with calico. What is no longer named goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "helm, nerdctl with containerd, calicoctl with calico"))]
    pub tools: Option<Vec<Tool>>,
    /// Versions of components that have no key of their own, and tags of images: `{runc: v1.3.3, pause: "3.9"}`. A program
    /// needs a full version. An unknown name is an error that lists the known ones. What is released with Kubernetes
    /// (`kubelet`, `kubectl`, ...) has its version; another one here is an error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-default" = "those that go with Kubernetes"))]
    pub versions: BTreeMap<String, Tag>,
    /// What runs in the cluster beside Kubernetes, in the order in which it is applied: names of kubexm's own addons, and charts
    /// and manifests of yours. See docs/addons.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<Addon>,
    /// Lines that are added to kubexm's block in `/etc/hosts` on every host: `192.168.1.100 bhy.example.com`.
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
