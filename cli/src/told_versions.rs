//! What `get hosts --output json` has told in a site, for a bundle that upgrades it.

use std::collections::BTreeMap;

use camino::Utf8Path;
use cluster::{Kubernetes, Version};
use serde::Deserialize;

use crate::error::Failure;

/// The versions of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldVersions {
    /// The oldest that anything of Kubernetes has.
    pub kubernetes: Version,
    /// What is to be known of it: versions that are mixed, hosts that told nothing.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Host {
    name: String,
    #[serde(default)]
    carries: Vec<Carried>,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Carried {
    component: String,
    version: Option<String>,
}

const HINT: &str =
    "write it in the site: kubexm get hosts -f config.yaml --output json > hosts.json";

/// Reads what was written there.
pub fn read(path: &Utf8Path, text: &str) -> Result<ToldVersions, Failure> {
    let refused = |why: String| Failure::Usage {
        message: format!("{path} is not what get hosts writes: {why}"),
        hint: Some(HINT.to_owned()),
    };
    let hosts: Vec<Host> =
        serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    let mut versions: BTreeMap<&str, BTreeMap<Version, Vec<&str>>> = BTreeMap::new();
    let mut notes = Vec::new();
    for host in &hosts {
        if let Some(error) = &host.error {
            notes.push(format!(
                "{path}: {} told nothing ({error}): if it is older than the others, the bundle may lack a release",
                host.name
            ));
        }
        for carried in &host.carries {
            let version = carried
                .version
                .as_deref()
                .and_then(|text| text.parse().ok());
            if let Some(version) = version {
                let of = versions.entry(&carried.component).or_default();
                of.entry(version).or_default().push(&host.name);
            }
        }
    }
    let of_kubernetes = Kubernetes::RELEASED_TOGETHER
        .iter()
        .filter_map(|name| versions.get(name));
    let oldest = of_kubernetes
        .filter_map(|versions| versions.keys().next())
        .min()
        .cloned();
    let kubernetes =
        oldest.ok_or_else(|| refused("no host in it has anything of Kubernetes".to_owned()))?;
    let mixed = versions.iter().filter(|(_, versions)| versions.len() > 1);
    notes.extend(mixed.map(|(component, versions)| {
        let each = versions
            .iter()
            .map(|(version, hosts)| format!("{version} on {}", hosts.join(", ")));
        format!(
            "{component} is mixed: {}",
            each.collect::<Vec<_>>().join("; ")
        )
    }));
    Ok(ToldVersions { kubernetes, notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<ToldVersions, Failure> {
        read(Utf8Path::new("hosts.json"), text)
    }

    const MIXED: &str = r#"[
        {"name": "m1", "address": "10.0.0.1", "roles": ["master"], "cluster": "c", "since": null, "carries": [
            {"component": "kube-apiserver", "version": "1.34.2", "activity": "AtWork", "since": null},
            {"component": "etcd", "version": "v3.6.5", "activity": "AtWork", "since": null},
            {"component": "kubelet", "version": "1.34.2", "activity": "AtWork", "since": null}]},
        {"name": "w1", "carries": [{"component": "kubelet", "version": "v1.33.4"}, {"component": "runc", "version": null}]},
        {"name": "w2", "carries": [{"component": "kubelet", "version": "v1.33.4"}, {"component": "containerd", "version": "?"}]},
        {"name": "w3", "error": "connection refused"}]"#;

    #[test]
    fn the_oldest_version_counts_and_mixed_ones_are_told() {
        let told = of(MIXED).unwrap();
        assert_eq!(told.kubernetes, Version::new(1, 33, 4));
        insta::assert_snapshot!(told.notes.join("\n"), @"
        hosts.json: w3 told nothing (connection refused): if it is older than the others, the bundle may lack a release
        kubelet is mixed: v1.33.4 on w1, w2; v1.34.2 on m1
        ");
        let same =
            r#"[{"name": "m1", "carries": [{"component": "kubelet", "version": "v1.33.4"}]}]"#;
        assert_eq!(of(same).unwrap().notes, Vec::<String>::new());
    }

    #[test]
    fn another_file_is_refused_with_the_way_to_the_right_one() {
        for text in [
            "{}",
            "[]",
            "kubernetes: v1.33.4",
            r#"[{"name": "lb1", "carries": [{"component": "haproxy", "version": "v3.0.0"}]}]"#,
        ] {
            let error = of(text).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("hosts.json is not what get hosts writes: "),
                "{error}"
            );
            assert!(error.hint().unwrap().contains("kubexm get hosts"), "{text}");
        }
    }
}
