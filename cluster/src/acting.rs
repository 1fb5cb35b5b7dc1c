//! Which keys act in this version. A key that does not is told to whoever writes it; none is silently ignored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::{Key, keys};
use crate::{Cluster, KeyPath, KubernetesType, RegistryType, Spec};

/// What a key does in this version, and everything below it that says nothing else; or a value, where it is one of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acts {
    /// It acts.
    #[default]
    Yes,
    /// It decides what is bundled; nothing is set up from it yet.
    Bundle,
    /// It is about what kubeadm does, and does nothing without it.
    Kubeadm,
    /// It is checked and kept, and does nothing yet.
    No,
}

impl Acts {
    fn does(self, cluster: &Cluster) -> bool {
        match self {
            Self::Yes => true,
            Self::Kubeadm => cluster.spec.kubernetes.kind == KubernetesType::Kubeadm,
            Self::Bundle | Self::No => false,
        }
    }
}

/// What is said of a registry and does nothing where it is the site's own: that one always has TLS, by its own authority.
const INERT_FOR_OWN_REGISTRY: &[&str] = &["skipTLSVerify", "plainHTTP", "certsPath", "onNodes"];

/// The keys among those written that do nothing yet: each once, and the highest that is inert as a whole. A key with its
/// default changes nothing, so nothing is missing where it does not act.
pub(crate) fn not_yet(cluster: &Cluster, written: &[KeyPath]) -> Vec<KeyPath> {
    let keys = keys();
    let inert = of_own_registry(cluster);
    let asked = document(cluster);
    let mut bare = Cluster {
        spec: Spec::default(),
        ..cluster.clone()
    };
    // Other defaults go by it.
    bare.spec.kubernetes.version = cluster.spec.kubernetes.version.clone();
    let default = document(&bare);
    let mut out: BTreeSet<KeyPath> = BTreeSet::new();
    for written in written {
        let value = written.look_up(&asked);
        if value == written.look_up(&default) {
            continue;
        }
        let path = written.without_indexes();
        let acts = does(keys.around(&path), value, cluster) && !inert.contains(&path);
        if !acts && !out.iter().any(|above| path.is_within(above)) {
            out.insert(path);
        }
    }
    out.into_iter().collect()
}

/// Whether a key acts with this value.
fn does(key: &Key, value: Option<&Value>, cluster: &Cluster) -> bool {
    let chosen = value.and_then(Value::as_str);
    let choice = key
        .choices
        .iter()
        .find(|choice| Some(choice.name.as_str()) == chosen);
    key.acts.does(cluster) && choice.is_none_or(|choice| choice.acts.does(cluster))
}

fn document(cluster: &Cluster) -> Value {
    serde_json::to_value(cluster.written_out()).unwrap_or_default()
}

fn of_own_registry(cluster: &Cluster) -> Vec<KeyPath> {
    if cluster.spec.registry.kind == RegistryType::External {
        return Vec::new();
    }
    let auths = KeyPath::of("spec.registry.auths");
    let of_own = cluster.registry_names().into_iter().flat_map(|registry| {
        let auth = auths.key(&registry);
        INERT_FOR_OWN_REGISTRY.iter().map(move |key| auth.key(key))
    });
    of_own.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inert_of(spec: &str) -> Vec<String> {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts:
    - {{name: a, address: 10.0.0.1, labels: {{x: y}}, taints: []}}
    - {{name: b, address: 10.0.0.2, labels: {{x: y}}}}
  roleGroups: {{etcd: [a], control-plane: [a], worker: [b], registry: [b]}}
{spec}"
        );
        let parsed = crate::parse("config.yaml", &text).unwrap();
        let inert = parsed.not_yet_acting();
        inert.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_does_not_act_is_named_once_and_as_a_whole() {
        let inert = inert_of(
            "  dns:
    coredns: {rewriteBlock: x}
    nodelocaldns: {externalZones: [{zones: [a.b], nameservers: [10.0.0.53]}]}
  kubernetes: {apiServer: {extraVolumes: [{name: a, hostPath: /a/b, mountPath: /a/b}]}}
  etcd: {dataDir: /data/etcd}
  system: {setHostname: true, timezone: UTC}
",
        );
        assert_eq!(inert, ["spec.kubernetes.apiServer.extraVolumes"]);
    }

    #[test]
    fn what_is_about_kubeadm_acts_with_it_alone() {
        let of = |kind| {
            inert_of(&format!(
                "  kubernetes:
    type: {kind}
    autoRenewCerts: true
    ignorePreflightErrors: [NumCPU]
    apiServer: &one {{extraVolumes: [{{name: a, hostPath: /a/b, mountPath: /a/b}}]}}
    controllerManager: *one
    scheduler: *one
"
            ))
        };
        assert_eq!(
            of("kubexm"),
            [
                "spec.kubernetes.apiServer.extraVolumes",
                "spec.kubernetes.autoRenewCerts",
                "spec.kubernetes.controllerManager.extraVolumes",
                "spec.kubernetes.ignorePreflightErrors",
                "spec.kubernetes.scheduler.extraVolumes",
            ]
        );
        assert!(of("kubeadm").is_empty());
    }

    #[test]
    fn what_acts_is_not_named() {
        let inert = inert_of(
            "  host: 10.0.0.9 mirror.example.com
  addons: [metallb, {name: app, manifests: [app.yaml]}]
  storage: {openebs: {basePath: /data/volumes}}
  versions: {runc: v1.3.3}
  kubernetes: {containerRuntime: {type: containerd, containerd: {config: {version: 3}}}}
  registry: {namespaceOverride: a/b, auths: {quay.io: {certsPath: /x, skipTLSVerify: true}}}
",
        );
        assert!(inert.is_empty(), "{inert:?}");
    }

    #[test]
    fn what_does_nothing_for_the_sites_own_registry_is_named() {
        let inert = inert_of(
            "  registry:
    auths:
      dockerhub.kubexm.local:5000: {username: me, skipTLSVerify: true, plainHTTP: false, certsPath: /x}
",
        );
        assert_eq!(
            inert,
            [
                r#"spec.registry.auths["dockerhub.kubexm.local:5000"].certsPath"#,
                r#"spec.registry.auths["dockerhub.kubexm.local:5000"].skipTLSVerify"#,
            ]
        );
    }

    /// A bundle carries its config like this.
    #[test]
    fn defaults_that_are_written_out_are_nobodys_wish() {
        let text = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts: [{name: a, address: 10.0.0.1}]
  roleGroups: {etcd: [a], master: [a], worker: [a]}
  kubernetes: {type: kubexm, autoRenewCerts: true}
";
        let cluster = crate::parse("config.yaml", text).unwrap().cluster;
        let written_out = cluster.to_yaml().unwrap();
        assert!(written_out.contains("podPidsLimit"), "{written_out}");
        let parsed = crate::parse("config.yaml", &written_out).unwrap();
        let inert = parsed.not_yet_acting();
        assert_eq!(inert, [KeyPath::of("spec.kubernetes.autoRenewCerts")]);
    }
}
