use super::Check;
use crate::{EtcdType, KeyPath, KubernetesType};

/// What etcd itself warns beyond.
const LARGEST_QUOTA: u64 = 8 << 30;

pub(super) fn check(check: &mut Check<'_>) {
    let etcd = &check.cluster.spec.etcd;
    let path = |key: &str| KeyPath::of("spec.etcd").key(key);
    if check.sound(&["spec.etcd.type", "spec.etcd.external"]) {
        match (etcd.kind, &etcd.external) {
            (EtcdType::External, None) => check.error(
                path("type"),
                "etcd is external, but nothing says where it is".to_owned(),
                "add etcd.external.endpoints".to_owned(),
            ),
            (EtcdType::Kubexm | EtcdType::Kubeadm, Some(_)) => check.warn(
                path("external"),
                "these settings are for etcd.type: external".to_owned(),
                None,
            ),
            (EtcdType::External, Some(external))
                if external.cert_file.is_some() != external.key_file.is_some() =>
            {
                check.error(
                    path("external"),
                    "certFile and keyFile go together".to_owned(),
                    "give both, or neither".to_owned(),
                );
            }
            _ => {}
        }
        if etcd.kind == EtcdType::Kubeadm
            && check.cluster.spec.kubernetes.kind == KubernetesType::Kubexm
        {
            check.error(
                path("type"),
                "kubeadm can set up etcd only where it sets up Kubernetes".to_owned(),
                "set kubernetes.type to kubeadm, or etcd.type to kubexm".to_owned(),
            );
        }
    }
    let least = etcd.heartbeat_interval.saturating_mul(5);
    if etcd.election_timeout < least
        && check.sound(&["spec.etcd.heartbeatInterval", "spec.etcd.electionTimeout"])
    {
        check.error(
            path("electionTimeout"),
            format!("etcd refuses an election timeout of less than five heartbeats ({least} ms)"),
            format!(
                "set it to {} or more",
                etcd.heartbeat_interval.saturating_mul(10)
            ),
        );
    }
    if etcd.kind == EtcdType::External && etcd.backup.is_some() {
        check.warn(
            path("backup"),
            "an external etcd is in the care of whoever runs it: no snapshots are taken".to_owned(),
            None,
        );
    }
    if etcd.quota_backend_bytes > LARGEST_QUOTA {
        check.warn(
            path("quotaBackendBytes"),
            "etcd suggests no more than 8 GiB".to_owned(),
            format!("8 GiB are {LARGEST_QUOTA}"),
        );
    }
}
