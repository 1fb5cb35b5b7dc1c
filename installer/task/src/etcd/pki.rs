//! etcd's authority, its members' certificates, and how they come to their hosts.

use std::sync::Arc;

use cluster::{EtcdType, Host};
use engine::{Step, Task};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, Content, FileAttrs, KeyPairFiles, Owner,
    UploadFile, UploadKeyPair, Usage,
};

use super::USER;
use crate::{OPERATOR, Site};

pub(crate) const PKI: &str = "/etc/etcd/pki";
pub(super) const AUTHORITY: &str = "/etc/etcd/pki/ca.crt";

pub(super) fn files(site: &Site, name: &str) -> KeyPairFiles {
    KeyPairFiles::at(site.tree.certs("etcd").join(name))
}

/// A member's own certificates: etcd asks for both usages, because members call each other.
fn member_certificates(host: &Host) -> [(String, CertificateSpec); 2] {
    ["server", "peer"].map(|kind| {
        let loopback = [
            [127, 0, 0, 1].into(),
            "::1".parse().expect("::1 is an address"),
        ];
        let spec = CertificateSpec::new(&host.name, Usage::Both)
            .dns([host.name.clone(), "localhost".to_owned()])
            .ips(host.internal_ips().into_iter().chain(loopback));
        (format!("{}/{kind}", host.name), spec)
    })
}

/// etcd's authority and every certificate that members and their clients need, on the operator's machine.
#[must_use]
pub fn etcd_pki(site: &Site) -> Task {
    let task = Task::new("etcd certificates");
    if site.cluster.spec.etcd.kind == EtcdType::External {
        return task;
    }
    let authority = files(site, "ca");
    let mut steps: Vec<Arc<dyn Step>> = vec![Arc::new(CertificateAuthority::new(
        authority.clone(),
        "etcd-ca",
    ))];
    // kubeadm signs what its members and their clients need by itself.
    if site.cluster.spec.etcd.kind == EtcdType::Kubeadm {
        return task.on(OPERATOR, steps);
    }
    let clients = [
        ("healthcheck-client", "kube-etcd-healthcheck-client"),
        ("apiserver-etcd-client", "kube-apiserver-etcd-client"),
    ]
    .map(|(name, common_name)| {
        let spec = CertificateSpec::new(common_name, Usage::Client);
        (name.to_owned(), spec)
    });
    let members = site.etcd_hosts().into_iter().flat_map(member_certificates);
    for (name, spec) in clients.into_iter().chain(members) {
        let spec = spec.since(site.renewal);
        steps.push(Arc::new(Certificate::new(
            authority.clone(),
            files(site, &name),
            spec,
        )));
    }
    task.on(OPERATOR, steps)
}

/// Whom a member trusts.
pub(crate) fn authority_file(site: &Site) -> Arc<dyn Step> {
    Arc::new(UploadFile {
        path: AUTHORITY.into(),
        content: Content::Local(files(site, "ca").certificate()),
        attrs: FileAttrs {
            mode: 0o644,
            owner: owner(),
        },
    })
}

pub(super) fn owner() -> Owner {
    Owner {
        user: USER.to_owned(),
        group: USER.to_owned(),
    }
}

/// A member's certificates with their keys, and those that it is asked with.
pub(crate) fn member_pairs(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    let pair = |from: KeyPairFiles, name: &str| -> Arc<dyn Step> {
        Arc::new(UploadKeyPair {
            from,
            to: format!("{PKI}/{name}").into(),
            owner: owner(),
        })
    };
    vec![
        pair(files(site, &format!("{}/server", host.name)), "server"),
        pair(files(site, &format!("{}/peer", host.name)), "peer"),
        pair(files(site, "healthcheck-client"), "healthcheck-client"),
    ]
}
