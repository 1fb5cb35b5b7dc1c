//! What a cluster is begun with and keeps.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Cluster, KeyPath, KubernetesType};

/// Keys that nothing changes on a cluster that runs: their values are in its store and in every pod and service.
const KEPT: &[&str] = &[
    "spec.etcd.dataDir",
    "spec.etcd.type",
    "spec.kubernetes.clusterName",
    "spec.kubernetes.type",
    "spec.network.kubePodsCIDR",
    "spec.network.kubeServiceCIDR",
    "spec.network.plugin",
];
/// Beside them, those that kubeadm writes into kubeconfigs which it does not write again.
const KEPT_BY_KUBEADM: &[&str] = &[
    "spec.controlPlaneEndpoint.domain",
    "spec.controlPlaneEndpoint.port",
];

impl Cluster {
    /// The keys that a running cluster keeps, each with its value.
    #[must_use]
    pub fn foundation(&self) -> BTreeMap<&'static str, String> {
        let document = serde_json::to_value(self.written_out()).unwrap_or_default();
        let of_kubeadm: &[&str] = match self.spec.kubernetes.kind {
            KubernetesType::Kubeadm => KEPT_BY_KUBEADM,
            KubernetesType::Kubexm => &[],
        };
        let value = |key: &&'static str| {
            let text = match KeyPath::of(key).look_up(&document)? {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some((*key, text))
        };
        let kept = KEPT.iter().chain(of_kubeadm);
        kept.filter_map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    fn told(roles: &str, spec: &str) -> String {
        let text = format!(
            "
apiVersion: kubexm.mensylisir.io/v1alpha1
kind: Cluster
metadata: {{name: c}}
spec:
  hosts: [{{name: a, address: 10.0.0.1}}]
  roleGroups: {{{roles}master: [a], worker: [a]}}
{spec}"
        );
        let cluster = crate::parse("config.yaml", &text).unwrap().cluster;
        let kept = cluster.foundation().into_iter();
        let lines: Vec<String> = kept.map(|(key, value)| format!("{key}: {value}")).collect();
        lines.join("\n")
    }

    #[test]
    fn what_a_cluster_keeps_also_where_nobody_wrote_it() {
        insta::assert_snapshot!(told("etcd: [a], ", ""), @"
        spec.etcd.dataDir: /var/lib/etcd
        spec.etcd.type: kubexm
        spec.kubernetes.clusterName: cluster.local
        spec.kubernetes.type: kubexm
        spec.network.kubePodsCIDR: 10.233.64.0/18
        spec.network.kubeServiceCIDR: 10.233.0.0/18
        spec.network.plugin: calico
        ");
        let kubeadm = "  kubernetes: {type: kubeadm}\n  etcd: {type: kubeadm}\n";
        insta::assert_snapshot!(told("", kubeadm), @"
        spec.controlPlaneEndpoint.domain: lb.kubexm.local
        spec.controlPlaneEndpoint.port: 6443
        spec.etcd.dataDir: /var/lib/etcd
        spec.etcd.type: kubeadm
        spec.kubernetes.clusterName: cluster.local
        spec.kubernetes.type: kubeadm
        spec.network.kubePodsCIDR: 10.233.64.0/18
        spec.network.kubeServiceCIDR: 10.233.0.0/18
        spec.network.plugin: calico
        ");
    }
}
