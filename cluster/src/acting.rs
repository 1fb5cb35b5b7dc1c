//! Which keys act in this version. A key that does not is told to whoever writes it; none is silently ignored.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{Cluster, KeyPath, KubernetesType, NetworkPlugin, Spec};

/// Keys that act, each with everything below it.
const ACTING: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec.hosts.name",
    "spec.hosts.address",
    "spec.hosts.internalAddress",
    "spec.hosts.port",
    "spec.hosts.user",
    "spec.hosts.password",
    "spec.hosts.sudoPassword",
    "spec.hosts.privateKey",
    "spec.hosts.privateKeyPath",
    "spec.hosts.passphrase",
    "spec.hosts.agent",
    "spec.hosts.hostKey",
    "spec.hosts.bastion",
    "spec.hosts.arch",
    "spec.hosts.os",
    "spec.hosts.labels",
    "spec.hosts.taints",
    "spec.bastion",
    "spec.roleGroups.etcd",
    "spec.roleGroups.master",
    "spec.roleGroups.worker",
    "spec.roleGroups.registry",
    "spec.roleGroups.loadbalancer",
    "spec.controlPlaneEndpoint",
    "spec.arch",
    "spec.images",
    "spec.tools",
    "spec.versions",
    "spec.host",
    "spec.system",
    "spec.network",
    "spec.kubernetes.version",
    "spec.kubernetes.type",
    "spec.kubernetes.kubeletArgs",
    "spec.kubernetes.apiserverCertExtraSans",
    "spec.kubernetes.clusterName",
    "spec.kubernetes.maxPods",
    "spec.kubernetes.nodeCidrMaskSize",
    "spec.kubernetes.podPidsLimit",
    "spec.kubernetes.featureGates",
    "spec.kubernetes.kubeletConfiguration",
    "spec.kubernetes.autoRenewCerts",
    "spec.kubernetes.ignorePreflightErrors",
    "spec.kubernetes.containerRuntime.type",
    "spec.kubernetes.containerRuntime.version",
    "spec.kubernetes.containerRuntime.containerd.version",
    "spec.kubernetes.containerRuntime.containerd.config",
    "spec.etcd",
    "spec.registry.type",
    "spec.registry.version",
    "spec.registry.port",
    "spec.registry.privateRegistry",
    "spec.registry.namespaceOverride",
    "spec.registry.auths",
    "spec.registry.containerdDataDir",
    "spec.registry.registryDataDir",
    "spec.kubernetes.masqueradeAll",
    "spec.kubernetes.proxyMode",
    "spec.kubernetes.kubeProxyConfiguration",
    "spec.kubernetes.apiServer",
    "spec.kubernetes.controllerManager",
    "spec.kubernetes.scheduler",
    "spec.dns.dnsEtcHosts",
    "spec.dns.coredns",
];

/// Keys among them of which the default is all that acts.
const ACTING_BY_DEFAULT: &[&str] = &[
    "spec.kubernetes.containerRuntime.type",
    "spec.registry.type",
];

/// Keys among them that are about what kubeadm does.
const ACTING_WITH_KUBEADM: &[&str] = &[
    "spec.kubernetes.autoRenewCerts",
    "spec.kubernetes.ignorePreflightErrors",
    "spec.kubernetes.apiServer.extraVolumes",
    "spec.kubernetes.controllerManager.extraVolumes",
    "spec.kubernetes.scheduler.extraVolumes",
];

/// What is said of a registry and does nothing where it is the site's own: that one always has TLS, by its own authority.
const INERT_FOR_OWN_REGISTRY: &[&str] = &["skipTLSVerify", "plainHTTP", "certsPath"];

/// The keys among those written that do nothing yet: each once, and the highest that is inert as a whole. A key with its
/// default changes nothing, so nothing is missing where it does not act.
pub(crate) fn not_yet(cluster: &Cluster, written: &[KeyPath]) -> Vec<KeyPath> {
    let acting: Vec<KeyPath> = ACTING.iter().map(|path| KeyPath::of(path)).collect();
    let inert = inert(cluster);
    let asked = document(cluster);
    let mut bare = Cluster {
        spec: Spec::default(),
        ..cluster.clone()
    };
    // Other defaults go by it.
    bare.spec.kubernetes.version = cluster.spec.kubernetes.version.clone();
    let default = document(&bare);
    let mut out: BTreeSet<KeyPath> = BTreeSet::new();
    let chosen = written
        .iter()
        .filter(|path| path.look_up(&asked) != path.look_up(&default));
    for path in chosen.map(KeyPath::without_indexes) {
        let acts = acting
            .iter()
            .any(|acting| path.is_within(acting) || acting.is_within(&path));
        if (!acts || inert.contains(&path)) && !out.iter().any(|above| path.is_within(above)) {
            out.insert(path);
        }
    }
    out.into_iter().collect()
}

fn document(cluster: &Cluster) -> Value {
    serde_json::to_value(cluster.written_out()).unwrap_or_default()
}

/// Below keys that act, those that do not.
fn inert(cluster: &Cluster) -> Vec<KeyPath> {
    let auths = KeyPath::of("spec.registry.auths");
    let own = [
        cluster.registry_authority(),
        cluster.registry_domain().to_owned(),
    ];
    let of_own = own.iter().flat_map(|registry| {
        let auth = auths.key(registry);
        INERT_FOR_OWN_REGISTRY.iter().map(move |key| auth.key(key))
    });
    let of_kubeadm = match cluster.spec.kubernetes.kind {
        KubernetesType::Kubeadm => &[],
        KubernetesType::Kubexm => ACTING_WITH_KUBEADM,
    };
    let of_plugin: &[&str] = match cluster.spec.network.plugin {
        NetworkPlugin::Cilium => &["spec.network.plugin"],
        _ => &[],
    };
    let by_value = ACTING_BY_DEFAULT.iter().chain(of_kubeadm).chain(of_plugin);
    let by_value = by_value.map(|path| KeyPath::of(path));
    by_value.chain(of_own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a key holds: through references, lists and the choice between something and nothing.
    fn held<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
        loop {
            let next = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|at| root.pointer(at.trim_start_matches('#')));
            let next = next
                .or_else(|| schema.get("items"))
                .or_else(|| schema.pointer("/anyOf/0"));
            match next {
                Some(next) => schema = next,
                None => return schema,
            }
        }
    }

    #[test]
    fn every_acting_key_is_a_key_of_the_config() {
        let root = crate::schema::bare();
        let some = ACTING_BY_DEFAULT.iter().chain(ACTING_WITH_KUBEADM);
        for path in ACTING.iter().chain(some) {
            let mut schema = &root;
            for key in path.split('.') {
                let properties = held(&root, schema).get("properties");
                schema = properties
                    .and_then(|known| known.get(key))
                    .unwrap_or_else(|| panic!("{path}"));
            }
        }
    }

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
            "  network: {plugin: cilium}
  dns:
    coredns: {rewriteBlock: x}
    nodelocaldns: {externalZones: [{zones: [a.b], nameservers: [10.0.0.53]}]}
  etcd: {dataDir: /data/etcd}
  registry: {type: harbor, registryDataDir: /data/registry}
  system: {setHostname: true, timezone: UTC}
  storage: {openebs: {basePath: /data/volumes}}
",
        );
        assert_eq!(
            inert,
            [
                "spec.dns.nodelocaldns",
                "spec.network.plugin",
                "spec.registry.type",
                "spec.storage"
            ]
        );
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
        let mut expected = ACTING_WITH_KUBEADM.to_vec();
        expected.sort_unstable();
        assert_eq!(of("kubexm"), expected);
        assert!(of("kubeadm").is_empty());
    }

    #[test]
    fn what_acts_is_not_named() {
        let inert = inert_of(
            "  host: 10.0.0.9 mirror.example.com
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
  kubernetes: {kata: {enabled: true}}
";
        let cluster = crate::parse("config.yaml", text).unwrap().cluster;
        let written_out = cluster.to_yaml().unwrap();
        assert!(written_out.contains("podPidsLimit"), "{written_out}");
        let parsed = crate::parse("config.yaml", &written_out).unwrap();
        let inert = parsed.not_yet_acting();
        assert_eq!(inert, [KeyPath::of("spec.kubernetes.kata")]);
    }
}
