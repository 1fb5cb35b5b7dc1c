//! Everything of Kubernetes that is signed, on the operator's machine: in `certs/kubernetes/`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use camino::Utf8PathBuf;
use cluster::{EtcdType, Host, KubernetesType};
use engine::{Step, Task};
use step::{
    Certificate, CertificateAuthority, CertificateSpec, KeptAuthority, KeyPairFiles,
    ServiceAccountKey, Usage, WriteKubeconfig,
};

use crate::kube::PKI;
use crate::{OPERATOR, Site};

/// The authority of the apiservers, the kubelets and all their clients.
pub(crate) const CA: &str = "ca";
/// The authority that apiservers identify themselves by to the apiservers behind them.
pub(crate) const FRONT_PROXY_CA: &str = "front-proxy-ca";
pub(crate) const SERVICE_ACCOUNT: &str = "sa";
const ADMIN: &str = "kubernetes-admin";
const MASTERS: &str = "system:masters";
const CLUSTER_ADMINS: &str = "kubeadm:cluster-admins";
pub(crate) const NODES: &str = "system:nodes";

impl Site {
    /// The key pair of the service accounts on the operator's machine: `sa.key` and `sa.pub`.
    pub(crate) fn service_account_key(&self) -> ServiceAccountKey {
        ServiceAccountKey::at(self.tree.certs("kubernetes").join(SERVICE_ACCOUNT))
    }

    /// A kubeconfig on the operator's machine: `controller-manager`, `node1/kubelet`.
    pub(crate) fn kubeconfig(&self, name: &str) -> Utf8PathBuf {
        let dir = self.tree.certs("kubernetes");
        dir.join(format!("{name}.conf"))
    }

    /// The certificate that a kubelet serves with.
    pub(crate) fn kubelet_files(&self, host: &Host) -> KeyPairFiles {
        self.kubernetes_files(&format!("{}/kubelet", host.name))
    }
}

/// The authorities, the certificates and the kubeconfigs of Kubernetes. kubeadm signs the most by itself, on the
/// masters, with the authorities from here.
#[must_use]
pub fn kube_pki(site: &Site) -> Task {
    let task = Task::new("kubernetes certificates");
    let nodes = site.runtime_hosts();
    if nodes.is_empty() {
        return task;
    }
    let mut steps: Vec<Arc<dyn Step>> = vec![
        Arc::new(CertificateAuthority::new(
            site.kubernetes_files(CA),
            "kubernetes-ca",
        )),
        Arc::new(CertificateAuthority::new(
            site.kubernetes_files(FRONT_PROXY_CA),
            "front-proxy-ca",
        )),
        Arc::new(site.service_account_key()),
    ];
    steps.extend(client(site, "admin", ADMIN, Some(administrators(site))));
    for host in &nodes {
        steps.push(certificate(
            site,
            CA,
            &format!("{}/kubelet", host.name),
            kubelet_server(host),
        ));
    }
    if site.cluster.spec.kubernetes.kind == KubernetesType::Kubexm {
        steps.extend(control_plane(site));
        for host in &nodes {
            let name = format!("{}/kubelet-client", host.name);
            steps.push(certificate(
                site,
                CA,
                &name,
                CertificateSpec::new(node_user(host), Usage::Client).organization(NODES),
            ));
            let conf = format!("{}/kubelet", host.name);
            steps.push(kubeconfig(site, &conf, &name, &node_user(host)));
        }
    }
    task.on(OPERATOR, steps)
}

/// What the hosts of a cluster have of its authorities: no run may put others in their place.
pub(crate) fn kept_authorities(site: &Site) -> Vec<KeptAuthority> {
    let kept = |local: Utf8PathBuf, path: &str| KeptAuthority {
        local,
        path: path.into(),
    };
    let of_kubernetes = |name: &str| {
        let path = format!("{PKI}/{name}.crt");
        kept(site.kubernetes_files(name).certificate(), &path)
    };
    let mut all = vec![
        of_kubernetes(CA),
        of_kubernetes(FRONT_PROXY_CA),
        kept(
            site.service_account_key().public(),
            &format!("{PKI}/{SERVICE_ACCOUNT}.pub"),
        ),
    ];
    if site.cluster.spec.etcd.kind != EtcdType::External {
        let local = KeyPairFiles::at(site.tree.certs("etcd").join("ca")).certificate();
        all.push(kept(local.clone(), &format!("{PKI}/etcd/ca.crt")));
        all.push(kept(local, "/etc/etcd/pki/ca.crt"));
    }
    all
}

/// What kubeadm would sign.
fn control_plane(site: &Site) -> Vec<Arc<dyn Step>> {
    let kubelet_client = CertificateSpec::new("kube-apiserver-kubelet-client", Usage::Client);
    let kubelet_client = kubelet_client.organization(administrators(site));
    let front_proxy = CertificateSpec::new("front-proxy-client", Usage::Client);
    let mut steps = vec![
        certificate(site, CA, "apiserver", apiserver(site)),
        certificate(site, CA, "apiserver-kubelet-client", kubelet_client),
        certificate(site, FRONT_PROXY_CA, "front-proxy-client", front_proxy),
    ];
    // Somebody must give the group of administrators its rights.
    if site.traits().cluster_admins_group {
        steps.extend(client(
            site,
            "super-admin",
            "kubernetes-super-admin",
            Some(MASTERS),
        ));
    }
    for (name, user) in [
        ("controller-manager", "system:kube-controller-manager"),
        ("scheduler", "system:kube-scheduler"),
        ("kube-proxy", "system:kube-proxy"),
    ] {
        steps.extend(client(site, name, user, None));
    }
    steps
}

fn certificate(site: &Site, authority: &str, name: &str, spec: CertificateSpec) -> Arc<dyn Step> {
    let (authority, files) = (
        site.kubernetes_files(authority),
        site.kubernetes_files(name),
    );
    Arc::new(Certificate::new(authority, files, spec.since(site.renewal)))
}

/// A user of the cluster: a certificate, and the kubeconfig with it.
fn client(site: &Site, name: &str, user: &str, group: Option<&str>) -> [Arc<dyn Step>; 2] {
    let spec = CertificateSpec::new(user, Usage::Client);
    let spec = match group {
        Some(group) => spec.organization(group),
        None => spec,
    };
    [
        certificate(site, CA, name, spec),
        kubeconfig(site, name, name, user),
    ]
}

fn kubeconfig(site: &Site, name: &str, certificate: &str, user: &str) -> Arc<dyn Step> {
    Arc::new(WriteKubeconfig {
        path: site.kubeconfig(name),
        cluster: site.cluster.name().to_owned(),
        user: user.to_owned(),
        server: site.apiserver_url(),
        authority: site.kubernetes_files(CA).certificate(),
        client: site.kubernetes_files(certificate),
    })
}

fn administrators(site: &Site) -> &'static str {
    if site.traits().cluster_admins_group {
        CLUSTER_ADMINS
    } else {
        MASTERS
    }
}

/// Who a kubelet is to the apiservers.
pub(crate) fn node_user(host: &Host) -> String {
    format!("system:node:{}", host.name)
}

fn kubelet_server(host: &Host) -> CertificateSpec {
    let spec = CertificateSpec::new(node_user(host), Usage::Server).organization(NODES);
    named(spec, names_of(host))
}

/// Every name and address by which an apiserver may be called.
fn apiserver(site: &Site) -> CertificateSpec {
    let spec = &site.cluster.spec;
    let domain = &spec.kubernetes.cluster_name;
    let endpoint = &spec.control_plane_endpoint;
    let ips = spec
        .network
        .kube_service_cidr
        .nth(1)
        .into_iter()
        .chain([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
        .chain(endpoint.lb_address.iter());
    let certificate = CertificateSpec::new("kube-apiserver", Usage::Server)
        .dns(["kubernetes", "kubernetes.default", "kubernetes.default.svc"])
        .dns([format!("kubernetes.default.svc.{domain}")])
        .dns(["localhost".to_owned(), endpoint.domain.clone()])
        .ips(ips);
    let masters = site.masters().into_iter().flat_map(names_of);
    let more = spec.kubernetes.apiserver_cert_extra_sans.iter().cloned();
    named(certificate, masters.chain(more))
}

/// Every name and address of a host.
fn names_of(host: &Host) -> Vec<String> {
    let internal = host.internal_ips().into_iter().map(|ip| ip.to_string());
    [host.name.clone(), host.address.clone()]
        .into_iter()
        .chain(internal)
        .collect()
}

/// Names and addresses, told apart.
fn named(spec: CertificateSpec, names: impl IntoIterator<Item = String>) -> CertificateSpec {
    names
        .into_iter()
        .fold(spec, |spec, name| match name.parse::<IpAddr>() {
            Ok(ip) => spec.ips([ip]),
            Err(_) => spec.dns([name]),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    #[test]
    fn an_apiserver_can_be_called_by_every_name_it_has() {
        let site = site(
            "kubernetes: {clusterName: corp.example, apiserverCertExtraSans: [api.example.com, 192.0.2.9]}
  network: {kubePodsCIDR: '10.244.0.0/16,fd01::/64', kubeServiceCIDR: '10.96.0.0/12,fd85::/112'}",
        );
        let spec = apiserver(&site);
        let dns: Vec<String> = spec.dns.into_iter().collect();
        let ips: Vec<String> = spec.ips.iter().map(IpAddr::to_string).collect();
        insta::assert_snapshot!(dns.join("\n"), @r"
        api.example.com
        kubernetes
        kubernetes.default
        kubernetes.default.svc
        kubernetes.default.svc.corp.example
        lb.kubexm.local
        localhost
        m1
        m2
        m2.example.com
        ");
        insta::assert_snapshot!(ips.join(" "), @"10.0.0.1 10.0.0.2 10.0.0.100 10.96.0.1 127.0.0.1 192.0.2.9 203.0.113.1 ::1 fd00::1 fd00::2 fd85::1");
        assert_eq!(spec.usage, Usage::Server);
    }

    #[test]
    fn a_kubelet_serves_under_its_own_names() {
        let site = site("{}");
        let spec = kubelet_server(site.cluster.host("m2").unwrap());
        assert_eq!(spec.common_name, "system:node:m2");
        assert_eq!(spec.organization.as_deref(), Some("system:nodes"));
        assert_eq!(
            spec.dns.into_iter().collect::<Vec<_>>(),
            ["m2", "m2.example.com"]
        );
        let ips: Vec<String> = spec.ips.iter().map(IpAddr::to_string).collect();
        assert_eq!(ips, ["10.0.0.2", "fd00::2"]);
    }

    #[test]
    fn the_administrators_group_changes_with_1_29() {
        let group = |version| administrators(&site(&format!("kubernetes: {{version: {version}}}")));
        assert_eq!(group("v1.28.15"), "system:masters");
        assert_eq!(group("v1.29.0"), "kubeadm:cluster-admins");
    }
}
