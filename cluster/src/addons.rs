use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8PathBuf;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::{Cluster, OsPackage, Tag};

mod network_values;

/// Something that runs in the cluster beside Kubernetes: one of kubexm's own by its name, or a chart or manifests of yours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addon {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<Chart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Utf8PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_file: Option<Utf8PathBuf>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
}

/// An addon as a mapping. See docs/addons.md.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "AddonEntry")]
struct Entry {
    /// What it is called, here and in the cluster. Without chart, manifests and kustomize it is one of kubexm's own.
    #[schemars(extend("format" = "dns-label"))]
    name: String,
    /// The version of one of kubexm's own addons: `0.16.1`.
    #[serde(default)]
    #[schemars(extend("x-default" = "the one that goes with Kubernetes"))]
    version: Option<Tag>,
    /// A chart of Helm.
    #[serde(default)]
    chart: Option<Chart>,
    /// Manifests: files beside the config, folders of them, or addresses. They are applied together.
    #[serde(default)]
    manifests: Vec<String>,
    /// A folder beside the config with a `kustomization.yaml`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    kustomize: Option<Utf8PathBuf>,
    /// Where objects go that name no namespace. It is made where it is missing.
    #[serde(default)]
    #[schemars(extend("format" = "dns-label", "x-default" = "its own, or `default`"))]
    namespace: Option<String>,
    /// Values of the chart. They travel in the bundle: no secrets.
    #[serde(default)]
    values: Map<String, Value>,
    /// A file with more of them, beside the config. `values` win over it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    values_file: Option<Utf8PathBuf>,
    /// Images that nothing in its objects names: what its programs start by themselves.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "format": "image" }))]
    images: Vec<String>,
    /// Parts of the API that the chart may ask for, beside those of Kubernetes and of the addons before it:
    /// `monitoring.coreos.com/v1/ServiceMonitor`.
    #[serde(default)]
    api_versions: Vec<String>,
}

/// Where a chart comes from: one of `repo`, `oci` and `path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Chart {
    /// The address of a repository: `https://charts.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "http-url"))]
    pub repo: Option<String>,
    /// A chart in a registry: `registry.example.com/charts/app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oci: Option<String>,
    /// A packed chart or its folder, beside the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub path: Option<Utf8PathBuf>,
    /// What the chart is called in its repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "the addon's name"))]
    pub name: Option<String>,
    /// Its version, which a repository or registry needs to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Tag>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Entry(Box<Entry>),
}

impl<'de> Deserialize<'de> for Addon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::Name(name) => Self::named(name),
            Written::Entry(entry) => {
                let entry = *entry;
                Self {
                    name: entry.name,
                    version: entry.version,
                    chart: entry.chart,
                    manifests: entry.manifests,
                    kustomize: entry.kustomize,
                    namespace: entry.namespace,
                    values: entry.values,
                    values_file: entry.values_file,
                    images: entry.images,
                    api_versions: entry.api_versions,
                }
            }
        })
    }
}

impl JsonSchema for Addon {
    fn schema_name() -> Cow<'static, str> {
        "Addon".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "format": "dns-label" },
                generator.subschema_for::<Entry>(),
            ],
        })
    }
}

impl Addon {
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Which of kubexm's own it is; none where it brings a chart or manifests.
    #[must_use]
    pub fn known(&self) -> Option<KnownAddon> {
        if self.brings_its_own() {
            return None;
        }
        KnownAddon::named(&self.name)
    }

    /// Whether it is made of something that the config names.
    #[must_use]
    pub const fn brings_its_own(&self) -> bool {
        self.chart.is_some() || !self.manifests.is_empty() || self.kustomize.is_some()
    }
}

/// Puts values over others; mappings of both are merged.
pub fn overlay(values: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(key), value) {
            (Some(Value::Object(values)), Value::Object(over)) => overlay(values, over),
            _ => {
                values.insert(key.clone(), value.clone());
            }
        }
    }
}

macro_rules! known_addons {
    ($($(#[$about:meta])* $variant:ident = $name:literal, $packages:expr, $modules:expr, $units:expr;)*) => {
        /// An addon that kubexm knows, and what it asks of the system of each node. All else of it is in the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum KnownAddon {
            $($(#[$about])* $variant,)*
        }

        impl KnownAddon {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the config and in the catalogue.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it needs of the system of each node.
            #[must_use]
            pub const fn packages(self) -> &'static [OsPackage] {
                match self {
                    $(Self::$variant => $packages,)*
                }
            }

            /// The modules of the kernel that it needs on each node.
            #[must_use]
            pub const fn modules(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => $modules,)*
                }
            }

            /// The services of systemd that it needs on each node, each with the file that it reads.
            #[must_use]
            pub const fn units(self) -> &'static [(&'static str, &'static str)] {
                match self {
                    $(Self::$variant => $units,)*
                }
            }
        }
    };
}

known_addons! {
    CertManager = "cert-manager", &[], &[], &[];
    Cilium = "cilium", &[], &["vxlan"], &[];
    CsiDriverNfs = "csi-driver-nfs", &[OsPackage::NfsClient], &["nfs"], &[];
    EnvoyGateway = "envoy-gateway", &[], &[], &[];
    Headlamp = "headlamp", &[], &[], &[];
    KubeOvn = "kube-ovn", &[], &["openvswitch", "geneve"], &[];
    KubePrometheusStack = "kube-prometheus-stack", &[], &[], &[];
    LocalPath = "local-path", &[], &[], &[];
    Longhorn = "longhorn", &[OsPackage::IscsiInitiator, OsPackage::NfsClient], &["iscsi_tcp"],
        &[("iscsid.service", "/etc/iscsi/iscsid.conf")];
    Metallb = "metallb", &[], &[], &[];
    MetricsServer = "metrics-server", &[], &[], &[];
    Multus = "multus", &[], &[], &[];
    NodeFeatureDiscovery = "node-feature-discovery", &[], &[], &[];
    NvidiaDevicePlugin = "nvidia-device-plugin", &[], &[], &[];
    OpenebsLocalpv = "openebs-localpv", &[], &[], &[];
}

impl KnownAddon {
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.name() == name)
    }
}

impl fmt::Display for KnownAddon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Cluster {
    /// All addons in the order in which they are applied: those that keys of their own ask for, and those of `spec.addons`.
    #[must_use]
    pub fn addons(&self) -> Vec<Addon> {
        let spec = &self.spec;
        let by_key = [
            (spec.storage.openebs.is_some(), KnownAddon::OpenebsLocalpv),
            (
                spec.kubernetes.node_feature_discovery.enabled,
                KnownAddon::NodeFeatureDiscovery,
            ),
        ];
        let listed = |known: KnownAddon| spec.addons.iter().any(|it| it.name == known.name());
        let by_key = by_key.into_iter().filter(|(asked, _)| *asked);
        let unlisted = by_key.filter(|(_, known)| !listed(*known));
        let network = spec
            .network
            .plugin
            .addon()
            .map(|known| self.network_addon(known));
        let first = network.iter().map(|it| it.name.clone()).next();
        let others = spec.addons.iter();
        let others = others
            .filter(|addon| Some(&addon.name) != first.as_ref())
            .cloned();
        let by_key = unlisted.map(|(_, known)| Addon::named(known.name()));
        let others: Vec<Addon> = by_key.chain(others).collect();
        network.into_iter().chain(others).collect()
    }

    /// The network plugin that comes as this addon. What the config says of networks and hosts are values of its chart, and an
    /// entry of its name says more of them.
    fn network_addon(&self, known: KnownAddon) -> Addon {
        let mut values = network_values::of(self, known);
        let mut entries = self.spec.addons.iter();
        let entry = entries.find(|entry| entry.name == known.name());
        let addon = entry.cloned().unwrap_or_else(|| Addon::named(known.name()));
        overlay(&mut values, &addon.values);
        Addon { values, ..addon }
    }

    /// Those of kubexm's own among them.
    #[must_use]
    pub fn known_addons(&self) -> BTreeSet<KnownAddon> {
        self.addons().iter().filter_map(Addon::known).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addons(spec: &str) -> Vec<Addon> {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts: [{{name: a, address: 10.0.0.1}}]
  roleGroups: {{etcd: [a], master: [a], worker: [a]}}
{spec}"
        );
        crate::parse("c.yaml", &text).unwrap().cluster.addons()
    }

    #[test]
    fn an_addon_is_a_name_or_a_mapping() {
        let found = addons(
            "  addons: [metallb, {name: app, chart: {path: app.tgz}, values: {replicas: 2}}]\n",
        );
        assert_eq!(found[0], Addon::named("metallb"));
        assert_eq!(found[0].known(), Some(KnownAddon::Metallb));
        assert_eq!(found[1].known(), None);
        assert_eq!(found[1].values["replicas"], 2);
    }

    #[test]
    fn what_keys_of_their_own_ask_for_comes_first_and_once() {
        let names = |spec: &str| -> Vec<String> {
            addons(spec).into_iter().map(|addon| addon.name).collect()
        };
        let keys =
            "  storage: {openebs: {}}\n  kubernetes: {nodeFeatureDiscovery: {enabled: true}}\n";
        assert_eq!(
            names(&format!("{keys}  addons: [metallb]\n")),
            ["openebs-localpv", "node-feature-discovery", "metallb"]
        );
        assert_eq!(
            names(&format!("{keys}  addons: [metallb, openebs-localpv]\n")),
            ["node-feature-discovery", "metallb", "openebs-localpv"]
        );
    }
}
