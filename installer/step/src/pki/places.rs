//! Who reads a certificate, and who has to be started anew for another one in its place.

use super::CertificateSeen;

/// What is known of a certificate by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificatePlace {
    /// How the path ends.
    path: &'static str,
    pub what: &'static str,
    pub read_by: &'static str,
    /// Nobody, where it is read anew by itself.
    pub restart: &'static str,
}

const fn place(
    path: &'static str,
    what: &'static str,
    read_by: &'static str,
    restart: &'static str,
) -> CertificatePlace {
    CertificatePlace {
        path,
        what,
        read_by,
        restart,
    }
}

const NOBODY: &str = "-";

/// The first whose path fits counts: the narrower come before the wider.
const PLACES: &[CertificatePlace] = &[
    place(
        "/pki/etcd/ca.crt",
        "etcd's authority",
        "etcd, kube-apiserver",
        "etcd, kube-apiserver",
    ),
    place(
        "/pki/etcd/server.crt",
        "etcd serves with it",
        "etcd",
        NOBODY,
    ),
    place(
        "/pki/etcd/peer.crt",
        "members know each other by it",
        "etcd",
        NOBODY,
    ),
    place(
        "/pki/etcd/healthcheck-client.crt",
        "etcd is asked with it",
        "etcdctl, kubexm",
        NOBODY,
    ),
    place("/etc/etcd/pki/ca.crt", "etcd's authority", "etcd", "etcd"),
    place(
        "/etc/etcd/pki/server.crt",
        "etcd serves with it",
        "etcd",
        NOBODY,
    ),
    place(
        "/etc/etcd/pki/peer.crt",
        "members know each other by it",
        "etcd",
        NOBODY,
    ),
    place(
        "/etc/etcd/pki/healthcheck-client.crt",
        "etcd is asked with it",
        "etcdctl, kubexm",
        NOBODY,
    ),
    place(
        "/pki/ca.crt",
        "Kubernetes' authority",
        "everybody",
        "everybody",
    ),
    place(
        "/pki/front-proxy-ca.crt",
        "the aggregation layer's authority",
        "kube-apiserver",
        "kube-apiserver",
    ),
    place(
        "/pki/apiserver.crt",
        "the apiserver serves with it",
        "kube-apiserver",
        "kube-apiserver",
    ),
    place(
        "/pki/apiserver-kubelet-client.crt",
        "the apiserver to kubelets",
        "kube-apiserver",
        "kube-apiserver",
    ),
    place(
        "/pki/apiserver-etcd-client.crt",
        "the apiserver to etcd",
        "kube-apiserver",
        "kube-apiserver",
    ),
    place(
        "/pki/front-proxy-client.crt",
        "the apiserver to others behind it",
        "kube-apiserver",
        "kube-apiserver",
    ),
    place(
        "/pki/kubelet.crt",
        "the kubelet serves with it",
        "kubelet",
        "kubelet",
    ),
    place(
        "/kubelet-client-current.pem",
        "the kubelet to the apiserver; renews itself",
        "kubelet",
        "kubelet",
    ),
    place(
        "/kubelet-server-current.pem",
        "the kubelet serves with it; renews itself",
        "kubelet",
        "kubelet",
    ),
    place(
        "/kubernetes/super-admin.conf",
        "the administrator of last resort",
        "kubectl",
        NOBODY,
    ),
    place(
        "/kubernetes/admin.conf",
        "the administrator",
        "kubectl",
        NOBODY,
    ),
    place(
        "/controller-manager.conf",
        "the controller manager",
        "kube-controller-manager",
        "kube-controller-manager",
    ),
    place(
        "/scheduler.conf",
        "the scheduler",
        "kube-scheduler",
        "kube-scheduler",
    ),
    place(
        "/kubelet.conf",
        "the kubelet to the apiserver",
        "kubelet",
        "kubelet",
    ),
    place("/kube-proxy.conf", "kube-proxy", "kube-proxy", "kube-proxy"),
    place(
        "/kubexm-registry/registry.crt",
        "the registry serves with it",
        "registry",
        "kubexm-registry",
    ),
    place(
        "/kubexm-registry/ca.crt",
        "the registry's authority",
        "runtimes",
        NOBODY,
    ),
];

impl CertificateSeen {
    /// What is known of it by its place.
    #[must_use]
    pub fn place(&self) -> Option<&'static CertificatePlace> {
        PLACES.iter().find(|place| self.path.ends_with(place.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What follows from a place is of the narrowest that fits.
    #[test]
    fn no_place_hides_behind_a_wider_one() {
        for (at, place) in PLACES.iter().enumerate() {
            let before = PLACES[..at]
                .iter()
                .find(|before| place.path.ends_with(before.path));
            assert_eq!(before, None, "{}", place.path);
        }
    }
}
