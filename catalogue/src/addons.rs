//! The addons that kubexm knows, as `data/addons/` tells.

use cluster::{KnownAddon, Version};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::minor::within;

/// Where an addon comes from, and what it becomes in a cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddonSource {
    /// One sentence.
    pub about: String,
    pub namespace: String,
    /// The level of pod security that its namespace is labelled with.
    #[serde(default)]
    pub pod_security: Option<String>,
    versions: Vec<AddonVersion>,
    #[serde(default)]
    pub chart: Option<AddonChart>,
    #[serde(default)]
    manifests: Vec<String>,
    /// Values of the chart.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// Values of the chart that keys of the config give.
    #[serde(default)]
    pub settings: Vec<AddonSetting>,
    #[serde(default)]
    edits: Vec<AddonEdit>,
    #[serde(default)]
    images: Vec<String>,
    /// What is applied ahead of its own way out, when it goes.
    #[serde(default)]
    pub leaving: Vec<Value>,
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum AddonChart {
    Repository {
        repo: String,
        name: String,
    },
    Registry {
        /// `ghcr.io/example/charts/app`
        oci: String,
        /// How its versions are written there.
        tag: String,
    },
}

/// A value of a chart, and the key that gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddonSetting {
    /// `localpv.basePath`
    pub value: String,
    /// `spec.storage.openebs.basePath`
    pub from: String,
}

/// A text of a manifest that is another one at a site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddonEdit {
    pub from: String,
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddonVersion {
    kubernetes: semver::VersionReq,
    version: String,
}

impl AddonSource {
    /// What is known of an addon.
    ///
    /// # Panics
    /// Never: the texts are part of the program, and a test reads each.
    #[must_use]
    pub fn of(addon: KnownAddon) -> Self {
        serde_saphyr::from_str(text(addon)).expect("each embedded text is read by a test")
    }

    /// The version that goes with this Kubernetes; none where it is too old.
    #[must_use]
    pub fn version(&self, kubernetes: &Version) -> Option<&str> {
        let mut versions = self.versions.iter();
        let fits = |row: &&AddonVersion| within(kubernetes, &row.kubernetes);
        versions.find(fits).map(|row| row.version.as_str())
    }

    /// Every version of it, each with the Kubernetes that it goes with.
    pub fn versions(&self) -> impl Iterator<Item = (String, &str)> {
        let rows = self.versions.iter();
        rows.map(|row| (row.kubernetes.to_string(), row.version.as_str()))
    }

    /// The addresses of its manifests.
    #[must_use]
    pub fn manifests(&self, version: &str) -> Vec<String> {
        self.manifests
            .iter()
            .map(|text| filled(text, version))
            .collect()
    }

    /// The tag of a chart in a registry.
    #[must_use]
    pub fn tag(pattern: &str, version: &str) -> String {
        filled(pattern, version)
    }

    /// The images that nothing in its objects names.
    #[must_use]
    pub fn images(&self, version: &str) -> Vec<String> {
        self.images
            .iter()
            .map(|text| filled(text, version))
            .collect()
    }

    /// What is another text at a site.
    #[must_use]
    pub fn edits(&self, version: &str) -> Vec<AddonEdit> {
        let edits = self.edits.iter();
        edits
            .map(|edit| AddonEdit {
                from: filled(&edit.from, version),
                to: filled(&edit.to, version),
            })
            .collect()
    }
}

fn filled(text: &str, version: &str) -> String {
    let number = version.trim_start_matches('v');
    text.replace("{v}", &format!("v{number}"))
        .replace("{n}", number)
}

const fn text(addon: KnownAddon) -> &'static str {
    match addon {
        KnownAddon::CertManager => include_str!("../data/addons/cert-manager.yaml"),
        KnownAddon::Cilium => include_str!("../data/addons/cilium.yaml"),
        KnownAddon::EnvoyGateway => include_str!("../data/addons/envoy-gateway.yaml"),
        KnownAddon::Headlamp => include_str!("../data/addons/headlamp.yaml"),
        KnownAddon::KubePrometheusStack => {
            include_str!("../data/addons/kube-prometheus-stack.yaml")
        }
        KnownAddon::Multus => include_str!("../data/addons/multus.yaml"),
        KnownAddon::NvidiaDevicePlugin => include_str!("../data/addons/nvidia-device-plugin.yaml"),
        KnownAddon::KubeOvn => include_str!("../data/addons/kube-ovn.yaml"),
        KnownAddon::CsiDriverNfs => include_str!("../data/addons/csi-driver-nfs.yaml"),
        KnownAddon::LocalPath => include_str!("../data/addons/local-path.yaml"),
        KnownAddon::Longhorn => include_str!("../data/addons/longhorn.yaml"),
        KnownAddon::Metallb => include_str!("../data/addons/metallb.yaml"),
        KnownAddon::MetricsServer => include_str!("../data/addons/metrics-server.yaml"),
        KnownAddon::NodeFeatureDiscovery => {
            include_str!("../data/addons/node-feature-discovery.yaml")
        }
        KnownAddon::OpenebsLocalpv => include_str!("../data/addons/openebs-localpv.yaml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_addon_is_read_and_has_a_source_and_a_version() {
        let newest = Version::new(1, 36, 2);
        for addon in KnownAddon::ALL {
            let source = AddonSource::of(*addon);
            let version = source.version(&newest).unwrap_or_else(|| panic!("{addon}"));
            let manifests = source.manifests(version);
            assert_ne!(source.chart.is_some(), !manifests.is_empty(), "{addon}");
            assert!(source.about.ends_with('.'), "{addon}");
            for image in source.images(version).iter().chain(&manifests) {
                assert!(!image.contains('{'), "{addon}: {image}");
            }
            for setting in &source.settings {
                let keys = cluster::keys();
                assert!(keys.find(&setting.from).is_some(), "{}", setting.from);
            }
        }
    }

    #[test]
    fn a_version_goes_with_a_kubernetes() {
        let source = AddonSource::of(KnownAddon::CertManager);
        assert_eq!(source.version(&Version::new(1, 36, 2)), Some("1.21.1"));
        assert_eq!(source.version(&Version::new(1, 28, 0)), Some("1.16.5"));
        let longhorn = AddonSource::of(KnownAddon::Longhorn);
        assert_eq!(longhorn.version(&Version::new(1, 24, 9)), None);
    }
}
