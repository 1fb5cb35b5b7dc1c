//! Which keys act in this version. A key that does not is told to whoever writes it; none is silently ignored.

use std::collections::BTreeSet;

use crate::{Cluster, EtcdType, KeyPath, KubernetesType, RegistryType, RuntimeType};

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
    "spec.bastion",
    "spec.roleGroups.etcd",
    "spec.roleGroups.master",
    "spec.roleGroups.worker",
    "spec.roleGroups.registry",
    "spec.arch",
    "spec.images",
    "spec.tools",
    "spec.versions",
    "spec.system.setHostname",
    "spec.kubernetes.version",
    "spec.kubernetes.type",
    "spec.kubernetes.containerRuntime.type",
    "spec.kubernetes.containerRuntime.version",
    "spec.kubernetes.containerRuntime.containerd.version",
    "spec.kubernetes.containerRuntime.containerd.config",
    "spec.etcd",
    "spec.registry.type",
    "spec.registry.version",
    "spec.registry.port",
    "spec.registry.privateRegistry",
    "spec.registry.auths",
    "spec.registry.containerdDataDir",
    "spec.registry.registryDataDir",
];

/// The keys among those written that do nothing yet: each once, and the highest that is inert as a whole.
pub(crate) fn not_yet(cluster: &Cluster, written: &[KeyPath]) -> Vec<KeyPath> {
    let acting: Vec<KeyPath> = ACTING.iter().map(|path| KeyPath::of(path)).collect();
    let values = inert_values(cluster);
    let mut out: BTreeSet<KeyPath> = BTreeSet::new();
    for path in written.iter().map(KeyPath::without_indexes) {
        let acts = acting
            .iter()
            .any(|acting| path.is_within(acting) || acting.is_within(&path));
        if (!acts || values.contains(&path)) && !out.iter().any(|above| path.is_within(above)) {
            out.insert(path);
        }
    }
    out.into_iter().collect()
}

/// Keys that act, with a value that does not.
fn inert_values(cluster: &Cluster) -> Vec<KeyPath> {
    let spec = &cluster.spec;
    let values = [
        ("spec.etcd.type", spec.etcd.kind != EtcdType::Kubexm),
        ("spec.etcd.external", spec.etcd.external.is_some()),
        (
            "spec.registry.type",
            spec.registry.kind != RegistryType::Registry,
        ),
        (
            "spec.kubernetes.type",
            spec.kubernetes.kind != KubernetesType::Kubexm,
        ),
        (
            "spec.kubernetes.containerRuntime.type",
            spec.kubernetes.container_runtime.kind != RuntimeType::Containerd,
        ),
    ];
    values
        .into_iter()
        .filter(|(_, inert)| *inert)
        .map(|(path, _)| KeyPath::of(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

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
        for path in ACTING {
            let mut schema = &root;
            for key in path.split('.') {
                let properties = held(&root, schema).get("properties");
                schema = properties
                    .and_then(|known| known.get(key))
                    .unwrap_or_else(|| panic!("{path}"));
            }
        }
    }

    #[test]
    fn what_does_not_act_is_named_once_and_as_a_whole() {
        let text = "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {name: c}
spec:
  hosts:
    - {name: a, address: 10.0.0.1, labels: {x: y}}
    - {name: b, address: 10.0.0.2, labels: {x: y}}
  roleGroups: {etcd: [a], worker: [b], registry: [b]}
  dns: {coredns: {rewriteBlock: x, additionalConfigs: y}}
  etcd: {dataDir: /x}
  registry: {type: harbor, registryDataDir: /y}
  system: {setHostname: true, timezone: UTC}
";
        let parsed = crate::parse("config.yaml", text).unwrap();
        let inert: Vec<String> = parsed
            .not_yet_acting()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            inert,
            [
                "spec.dns",
                "spec.hosts.labels",
                "spec.registry.type",
                "spec.system.timezone"
            ]
        );
    }
}
