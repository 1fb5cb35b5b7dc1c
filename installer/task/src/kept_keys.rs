//! Keys that sign and that no service of a host reads: the masters keep them for the day on which the operator's machine is lost.

use std::sync::Arc;

use cluster::{EtcdType, KubernetesType};
use engine::{Step, Task};
use step::{FileAttrs, KeepKeyPair, KeyPairFiles, MakeDirectory, Owner, UploadKeyPair};

use crate::Site;
use crate::control_plane::pki::FRONT_PROXY_CA;
use crate::registry::authority as registry_authority;
use crate::site::names;

/// For root alone.
const DIR: &str = "/etc/kubexm/authorities";

/// Each authority with its key, and what it is called there. kubeadm has the others where it reads them.
fn kept(site: &Site) -> Vec<(KeyPairFiles, &'static str)> {
    let mut kept = Vec::new();
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubexm {
        kept.push((site.kubernetes_files(FRONT_PROXY_CA), FRONT_PROXY_CA));
    }
    if site.cluster.spec.etcd.kind == EtcdType::Kubexm {
        let files = KeyPairFiles::at(site.tree.certs("etcd").join("ca"));
        kept.push((files, "etcd-ca"));
    }
    if site.registry().is_some() {
        kept.push((registry_authority(site), "registry-ca"));
    }
    kept
}

pub(crate) fn kept_keys(site: &Site) -> Vec<Arc<dyn Step>> {
    let kept = kept(site);
    if kept.is_empty() {
        return Vec::new();
    }
    let directory = MakeDirectory {
        path: DIR.into(),
        attrs: FileAttrs::root(0o700),
    };
    let pair = |(from, name): (KeyPairFiles, &str)| -> Arc<dyn Step> {
        Arc::new(KeepKeyPair(UploadKeyPair {
            from,
            to: format!("{DIR}/{name}").into(),
            owner: Owner::root(),
        }))
    };
    let pairs = kept.into_iter().map(pair);
    [Arc::new(directory) as Arc<dyn Step>]
        .into_iter()
        .chain(pairs)
        .collect()
}

/// On each master, so that `adopt` finds them on any of them.
#[must_use]
pub fn keep_keys(site: &Site) -> Task {
    Task::new("keys").on_each(&names(site.masters()), |_| kept_keys(site))
}

#[cfg(test)]
mod tests {
    use engine::Data;

    use super::*;
    use crate::testing::site;

    fn names_of(more: &str) -> String {
        let site = site(more);
        let kept = kept(&site);
        let names: Vec<&str> = kept.iter().map(|(_, name)| *name).collect();
        names.join(" ")
    }

    #[test]
    fn every_key_that_signs_lies_on_the_masters() {
        assert_eq!(names_of("etcd: {type: kubexm}"), "front-proxy-ca etcd-ca");
        assert_eq!(
            names_of("kubernetes: {type: kubeadm}\n  etcd: {type: kubexm}"),
            "etcd-ca"
        );
        assert_eq!(
            names_of("kubernetes: {type: kubeadm}\n  etcd: {type: kubeadm}"),
            ""
        );
    }

    #[test]
    fn they_come_back_by_adopt_and_go_with_the_cluster() {
        let site = site("etcd: {type: kubexm}");
        let steps = kept_keys(&site);
        let origins = steps
            .iter()
            .filter_map(|step| step.origin(site.tree.root()));
        let origins: Vec<String> = origins.map(|step| step.id()).collect();
        assert_eq!(
            origins,
            [
                "fetch /etc/kubexm/authorities/front-proxy-ca.crt, /etc/kubexm/authorities/front-proxy-ca.key",
                "fetch /etc/kubexm/authorities/etcd-ca.crt, /etc/kubexm/authorities/etcd-ca.key",
            ]
        );
        for step in steps {
            let back = step.counterpart(Data::Keep).unwrap();
            assert!(!back.takes_back().is_empty(), "{}", step.id());
        }
    }
}
