//! With which arguments the components of a control plane from plain binaries are started.

use std::net::IpAddr;

use cluster::{CidrPair, Component, EtcdType, Host};
use templates::Arguments;

use crate::Site;
use crate::kube::{KUBERNETES, PKI};
use crate::rotation::SIGNING;
use crate::site::url_address;

fn pki(name: &str) -> String {
    format!("{PKI}/{name}")
}

/// Those of every component: its gates, what it accepts of TLS, nothing to profile it by; and the config's own last.
fn of_each(site: &Site, own: Arguments, component: &Component) -> Arguments {
    let kubernetes = &site.cluster.spec.kubernetes;
    let mut arguments = own
        .with("profiling", "false")
        .with("tls-min-version", "VersionTLS12");
    let gates: Vec<String> = kubernetes
        .feature_gates
        .iter()
        .map(|(gate, on)| format!("{gate}={on}"))
        .collect();
    if !gates.is_empty() {
        arguments = arguments.with("feature-gates", gates.join(","));
    }
    arguments.overlaid(&component.extra_args)
}

pub(crate) fn apiserver(site: &Site, host: &Host) -> Arguments {
    let spec = &site.cluster.spec;
    let services = &spec.network.kube_service_cidr;
    let own: Arguments = [
        ("allow-privileged", "true".to_owned()),
        ("client-ca-file", pki("ca.crt")),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        ("enable-bootstrap-token-auth", "true".to_owned()),
        ("kubelet-certificate-authority", pki("ca.crt")),
        (
            "kubelet-client-certificate",
            pki("apiserver-kubelet-client.crt"),
        ),
        ("kubelet-client-key", pki("apiserver-kubelet-client.key")),
        (
            "kubelet-preferred-address-types",
            "InternalIP,ExternalIP,Hostname".to_owned(),
        ),
        ("proxy-client-cert-file", pki("front-proxy-client.crt")),
        ("proxy-client-key-file", pki("front-proxy-client.key")),
        (
            "requestheader-allowed-names",
            "front-proxy-client".to_owned(),
        ),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        (
            "requestheader-extra-headers-prefix",
            "X-Remote-Extra-".to_owned(),
        ),
        ("requestheader-group-headers", "X-Remote-Group".to_owned()),
        ("requestheader-username-headers", "X-Remote-User".to_owned()),
        ("secure-port", spec.control_plane_endpoint.port.to_string()),
        (
            "service-account-issuer",
            format!(
                "https://kubernetes.default.svc.{}",
                spec.kubernetes.cluster_name
            ),
        ),
        ("service-account-key-file", pki("sa.pub")),
        ("service-account-signing-key-file", pki("sa.key")),
        ("service-cluster-ip-range", services.to_string()),
        // It stops within seconds; otherwise it waits a minute for its watchers to go by themselves.
        ("shutdown-send-retry-after", "true".to_owned()),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
    ]
    .into_iter()
    .collect();
    let own = etcd(site, own);
    let own = match advertised(services, host) {
        Some(address) => own.with("advertise-address", address.to_string()),
        None => own,
    };
    let component = &spec.kubernetes.api_server;
    // The two ways to say who decides exclude each other.
    let own = if component.extra_args.contains_key("authorization-config") {
        own
    } else {
        own.with("authorization-mode", "Node,RBAC")
    };
    of_each(site, own, component)
}

/// The host's address of the services' first family: an apiserver refuses another.
pub(crate) fn advertised(services: &CidrPair, host: &Host) -> Option<IpAddr> {
    let first_is_v4 = services.v4.is_some();
    let ips = host.internal_ips();
    let same = ips.iter().find(|ip| ip.is_ipv4() == first_is_v4);
    same.or(ips.first()).copied()
}

fn etcd(site: &Site, arguments: Arguments) -> Arguments {
    let etcd = &site.cluster.spec.etcd;
    let external = etcd.external.as_ref();
    let external = external.filter(|_| etcd.kind == EtcdType::External);
    let Some(external) = external else {
        let members = site.etcd_hosts().into_iter().map(url_address);
        let urls: Vec<String> = members
            .map(|address| format!("https://{address}:2379"))
            .collect();
        return with_etcd_client(arguments.with("etcd-cafile", pki("etcd/ca.crt")))
            .with("etcd-servers", urls.join(","));
    };
    let mut arguments = arguments.with("etcd-servers", external.endpoints.join(","));
    if external.ca_file.is_some() {
        arguments = arguments.with("etcd-cafile", pki("etcd/ca.crt"));
    }
    if external.cert_file.is_some() && external.key_file.is_some() {
        arguments = with_etcd_client(arguments);
    }
    arguments
}

fn with_etcd_client(arguments: Arguments) -> Arguments {
    arguments
        .with("etcd-certfile", pki("apiserver-etcd-client.crt"))
        .with("etcd-keyfile", pki("apiserver-etcd-client.key"))
}

pub(crate) fn controller_manager(site: &Site) -> Arguments {
    let spec = &site.cluster.spec;
    let own = [
        ("allocate-node-cidrs", "true".to_owned()),
        ("client-ca-file", pki("ca.crt")),
        ("cluster-cidr", spec.network.kube_pods_cidr.to_string()),
        ("cluster-name", site.cluster.name().to_owned()),
        ("cluster-signing-cert-file", pki(SIGNING)),
        ("cluster-signing-key-file", pki("ca.key")),
        ("controllers", "*,bootstrapsigner,tokencleaner".to_owned()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("root-ca-file", pki("ca.crt")),
        ("service-account-private-key-file", pki("sa.key")),
        (
            "service-cluster-ip-range",
            spec.network.kube_service_cidr.to_string(),
        ),
        ("use-service-account-credentials", "true".to_owned()),
    ];
    let own = own.into_iter().chain(as_client("controller-manager"));
    let own = own.chain(node_shares(site)).collect();
    of_each(site, own, &spec.kubernetes.controller_manager)
}

pub(crate) fn scheduler(site: &Site) -> Arguments {
    let own = as_client("scheduler").into_iter().collect();
    of_each(site, own, &site.cluster.spec.kubernetes.scheduler)
}

/// Of a component that calls the apiservers, of which one copy at a time acts, and which nobody calls but its own host.
fn as_client(name: &str) -> [(&'static str, String); 5] {
    let kubeconfig = || format!("{KUBERNETES}/{name}.conf");
    [
        ("authentication-kubeconfig", kubeconfig()),
        ("authorization-kubeconfig", kubeconfig()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("kubeconfig", kubeconfig()),
        ("leader-elect", "true".to_owned()),
    ]
}

/// How much of the pods' networks each node gets. A controller manager takes one argument for one network, and one for
/// each family where there are two.
pub(crate) fn node_shares(site: &Site) -> Vec<(&'static str, String)> {
    let spec = &site.cluster.spec;
    let pods = &spec.network.kube_pods_cidr;
    let v4 = spec.kubernetes.node_cidr_mask_size.to_string();
    match (pods.v4, spec.network.node_share_v6()) {
        (Some(_), Some(v6)) => vec![
            ("node-cidr-mask-size-ipv4", v4),
            ("node-cidr-mask-size-ipv6", v6.to_string()),
        ],
        (None, Some(v6)) => vec![("node-cidr-mask-size", v6.to_string())],
        (Some(_), None) => vec![("node-cidr-mask-size", v4)],
        (None, None) => Vec::new(),
    }
}

/// Where a component answers on its own host, with these arguments.
pub(crate) fn local_url(arguments: &Arguments, port: u16) -> String {
    let port = arguments
        .get("secure-port")
        .map_or_else(|| port.to_string(), str::to_owned);
    let bound = arguments
        .get("bind-address")
        .and_then(|bound| bound.parse::<IpAddr>().ok());
    match bound.filter(|ip| !ip.is_unspecified()) {
        Some(IpAddr::V6(ip)) => format!("https://[{ip}]:{port}"),
        Some(IpAddr::V4(ip)) => format!("https://{ip}:{port}"),
        None => format!("https://127.0.0.1:{port}"),
    }
}

#[cfg(test)]
mod tests;
