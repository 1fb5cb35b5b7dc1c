//! What kubeadm is told of the site.

use std::collections::BTreeMap;
use std::net::IpAddr;

use artifact::split_tag;
use cluster::{Component, EtcdType, Host, KubeadmApi, MetricsListen, PathType};
use engine::{Slot, StepError};
use secrecy::ExposeSecret;
use step::{Content, JoinCredentials, KeyPairFiles, authority_hash};
use templates::{
    KubeProxy, Kubeadm, KubeadmCluster, KubeadmComponent, KubeadmEndpoint, KubeadmEtcd,
    KubeadmEtcdClient, KubeadmEtcdTls, KubeadmForm, KubeadmJoin, KubeadmKubelet, KubeadmNode,
    KubeadmVolume,
};

use crate::Site;
use crate::control_plane::arguments::{advertised, node_shares};
use crate::control_plane::pki::CA;
use crate::kube::PKI;
use crate::nodes::kube_proxy::{forwarding, settings};
use crate::os::rendered_late;
use crate::rotation::SIGNING;
use crate::site::url_address;

/// Findings of kubeadm's preflight that every worker has: its files are there before it joins.
const PREPARED: [&str; 2] = [
    "DirAvailable--etc-kubernetes-manifests",
    "FileAvailable--etc-kubernetes-pki-ca.crt",
];

type Arguments = BTreeMap<String, String>;

fn form(site: &Site) -> KubeadmForm {
    match site.traits().kubeadm_api {
        KubeadmApi::V1Beta3 => KubeadmForm::V1Beta3,
        KubeadmApi::V1Beta4 => KubeadmForm::V1Beta4,
    }
}

/// A master's `kubeadm.yaml`.
pub(crate) fn kubeadm(site: &Site, host: &Host) -> Kubeadm {
    let spec = &site.cluster.spec;
    let dns = site.dns_of_pods();
    Kubeadm {
        form: form(site),
        node: node(site, host, &[]),
        endpoint: endpoint(site, host),
        cluster: cluster(site),
        kube_proxy: kube_proxy(site),
        kubelet: KubeadmKubelet {
            // kubeadm knows one for all kubelets, whatever families there are.
            cluster_dns: dns.iter().take(1).map(IpAddr::to_string).collect(),
            cluster_domain: spec.kubernetes.cluster_name.clone(),
            settings: spec.kubernetes.kubelet_configuration.clone(),
        },
    }
}

/// kube-proxy's configuration, the same on all nodes.
pub(crate) fn kube_proxy(site: &Site) -> KubeProxy {
    let spec = &site.cluster.spec;
    KubeProxy {
        kubeconfig: None,
        hostname_override: None,
        mode: forwarding(site),
        cluster_cidr: spec.network.kube_pods_cidr.to_string(),
        feature_gates: spec.kubernetes.feature_gates.clone(),
        settings: settings(site),
    }
}

fn node(site: &Site, host: &Host, prepared: &[&str]) -> KubeadmNode {
    let asked = &site.cluster.spec.kubernetes.ignore_preflight_errors;
    let prepared = prepared.iter().map(|name| (*name).to_owned());
    let ips: Vec<String> = site.node_ips(host).iter().map(IpAddr::to_string).collect();
    let node_ip = (!ips.is_empty()).then(|| ("node-ip".to_owned(), ips.join(",")));
    KubeadmNode {
        name: host.name.clone(),
        cri_socket: site.runtime_endpoint().to_owned(),
        taints: Some(site.taints_of(host)),
        kubelet_args: node_ip.into_iter().collect(),
        ignore_preflight_errors: asked.iter().cloned().chain(prepared).collect(),
    }
}

fn endpoint(site: &Site, host: &Host) -> KubeadmEndpoint {
    let address = advertised(&site.cluster.spec.network.kube_service_cidr, host);
    KubeadmEndpoint {
        advertise_address: address.map_or_else(|| host.address.clone(), |ip| ip.to_string()),
        bind_port: site.cluster.spec.control_plane_endpoint.port,
    }
}

fn cluster(site: &Site) -> KubeadmCluster {
    let spec = &site.cluster.spec;
    let kubernetes = &spec.kubernetes;
    let endpoint = &spec.control_plane_endpoint;
    let shares = node_shares(site).into_iter();
    let authority = ("kubelet-certificate-authority", format!("{PKI}/ca.crt"));
    let signing = ("cluster-signing-cert-file", format!("{PKI}/{SIGNING}"));
    // It stops within seconds; otherwise it waits for its watchers to go by themselves until the kubelet kills it.
    let stop = ("shutdown-send-retry-after", "true".to_owned());
    KubeadmCluster {
        name: site.cluster.name().to_owned(),
        version: site.kubernetes_version().with_v(),
        endpoint: format!("{}:{}", endpoint.domain, endpoint.port),
        cert_sans: cert_sans(site),
        pod_subnet: spec.network.kube_pods_cidr.to_string(),
        service_subnet: spec.network.kube_service_cidr.to_string(),
        dns_domain: kubernetes.cluster_name.clone(),
        etcd: etcd(site),
        dns_image_tag: image_tag(site, "coredns"),
        api_server: component(site, [authority, stop], &kubernetes.api_server),
        controller_manager: component(
            site,
            shares.chain([("allocate-node-cidrs", "true".to_owned()), signing]),
            &kubernetes.controller_manager,
        ),
        scheduler: component(site, [], &kubernetes.scheduler),
    }
}

fn component(
    site: &Site,
    own: impl IntoIterator<Item = (&'static str, String)>,
    component: &Component,
) -> KubeadmComponent {
    let volumes = component.extra_volumes.iter().map(|volume| KubeadmVolume {
        name: volume.name.clone(),
        host_path: volume.host_path.to_string(),
        mount_path: volume.mount_path.to_string(),
        read_only: volume.read_only,
        path_type: volume.path_type.map(PathType::name),
    });
    KubeadmComponent {
        arguments: arguments(site, own, component),
        volumes: volumes.collect(),
    }
}

/// Those of every component, its own, and those of the config, which win.
fn arguments(
    site: &Site,
    own: impl IntoIterator<Item = (&'static str, String)>,
    component: &Component,
) -> Arguments {
    let gates = &site.cluster.spec.kubernetes.feature_gates;
    let gates: Vec<String> = gates
        .iter()
        .map(|(gate, on)| format!("{gate}={on}"))
        .collect();
    let gates = (!gates.is_empty()).then(|| ("feature-gates", gates.join(",")));
    let common = [("profiling", "false".to_owned())].into_iter().chain(gates);
    let mut arguments: Arguments = common
        .chain(own)
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    arguments.extend(component.extra_args.clone());
    arguments
}

/// Every name and address by which an apiserver may be called, beside those that kubeadm adds.
fn cert_sans(site: &Site) -> Vec<String> {
    let spec = &site.cluster.spec;
    let endpoint = &spec.control_plane_endpoint;
    let fixed = [
        endpoint.domain.clone(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let virtual_ips = endpoint.lb_address.iter().map(|ip| ip.to_string());
    let masters = site.masters().into_iter().flat_map(|host| {
        let internal = host.internal_ips().into_iter().map(|ip| ip.to_string());
        [host.name.clone(), host.address.clone()]
            .into_iter()
            .chain(internal)
    });
    let more = spec.kubernetes.apiserver_cert_extra_sans.iter().cloned();
    let mut sans: Vec<String> = Vec::new();
    for san in fixed
        .into_iter()
        .chain(virtual_ips)
        .chain(masters)
        .chain(more)
    {
        if !sans.contains(&san) {
            sans.push(san);
        }
    }
    sans
}

fn etcd(site: &Site) -> KubeadmEtcd {
    let etcd = &site.cluster.spec.etcd;
    let client = KubeadmEtcdClient {
        cert_file: format!("{PKI}/apiserver-etcd-client.crt"),
        key_file: format!("{PKI}/apiserver-etcd-client.key"),
    };
    let tls = |client| KubeadmEtcdTls {
        ca_file: format!("{PKI}/etcd/ca.crt"),
        client,
    };
    match (etcd.kind, &etcd.external) {
        (EtcdType::External, Some(external)) => KubeadmEtcd::External {
            endpoints: external.endpoints.clone(),
            tls: (external.ca_file.as_ref())
                .map(|_| tls(external.cert_file.as_ref().map(|_| client))),
        },
        (EtcdType::Kubeadm, _) => KubeadmEtcd::Local {
            data_dir: etcd.data_dir.to_string(),
            image_tag: image_tag(site, "etcd"),
            arguments: stacked(site),
        },
        (EtcdType::Kubexm | EtcdType::External, _) => KubeadmEtcd::External {
            endpoints: site
                .etcd_hosts()
                .into_iter()
                .map(|host| format!("https://{}:2379", url_address(host)))
                .collect(),
            tls: Some(tls(Some(client))),
        },
    }
}

/// What the config says of etcd, to a member that kubeadm runs.
fn stacked(site: &Site) -> Arguments {
    let etcd = &site.cluster.spec.etcd;
    // All masters have one list of arguments, and each another address. kubeadm asks the loopback address then.
    let everywhere = match (etcd.metrics_listen, &site.masters()[..]) {
        (MetricsListen::Network, [first, ..]) if url_address(first).starts_with('[') => {
            Some("http://[::]:2381")
        }
        (MetricsListen::Network, _) => Some("http://0.0.0.0:2381"),
        (MetricsListen::Host, _) => None,
    };
    let metrics = everywhere.map(|urls| ("listen-metrics-urls", urls.to_owned()));
    [
        ("heartbeat-interval", etcd.heartbeat_interval.to_string()),
        ("election-timeout", etcd.election_timeout.to_string()),
        ("snapshot-count", etcd.snapshot_count.to_string()),
        (
            "auto-compaction-retention",
            etcd.auto_compaction_retention.to_string(),
        ),
        ("quota-backend-bytes", etcd.quota_backend_bytes.to_string()),
        ("max-request-bytes", etcd.max_request_bytes.to_string()),
        ("max-snapshots", etcd.max_snapshots.to_string()),
        ("max-wals", etcd.max_wals.to_string()),
        ("metrics", etcd.metrics.name().to_owned()),
        ("log-level", etcd.log_level.name().to_owned()),
    ]
    .into_iter()
    .chain(metrics)
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The tag of the image of this name that the bundle holds for kubeadm.
fn image_tag(site: &Site, name: &str) -> Option<String> {
    let mut tags = site
        .images_named(name)
        .map(|image| split_tag(&image.reference))
        .filter(|(repository, _)| repository.starts_with("registry.k8s.io/"));
    tags.find_map(|(_, tag)| tag.map(ToOwned::to_owned))
}

/// A node's `JoinConfiguration`, as soon as there is a token. Without one, for a node that has joined, there is none.
pub(crate) fn join(
    site: &Site,
    host: &Host,
    endpoint_of: Option<&Host>,
    credentials: &Slot<Option<JoinCredentials>>,
) -> Content {
    let authority: KeyPairFiles = site.kubernetes_files(CA);
    // What lay there of a member is set aside within the directory.
    let etcd = &site.cluster.spec.etcd;
    let data = format!("DirAvailable-{}", etcd.data_dir.as_str().replace('/', "-"));
    let prepared: &[&str] = match endpoint_of {
        Some(_) if etcd.kind == EtcdType::Kubeadm => &[&data],
        Some(_) => &[],
        None => &PREPARED,
    };
    let join = KubeadmJoin {
        form: form(site),
        node: node(site, host, prepared),
        endpoint: endpoint_of.map(|host| endpoint(site, host)),
        apiserver: String::new(),
        token: String::new(),
        ca_hash: String::new(),
    };
    let slot = credentials.clone();
    let render = move || -> Result<String, StepError> {
        let Some(Some(credentials)) = slot.get() else {
            return Ok(String::new());
        };
        rendered_late(&KubeadmJoin {
            apiserver: credentials.apiserver.clone(),
            token: credentials.token.expose_secret().to_owned(),
            ca_hash: authority_hash(&authority)?,
            ..join.clone()
        })
    };
    Content::Late {
        takes: vec![credentials.id()],
        render: std::sync::Arc::new(render),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_an_external_etcd_does_not_ask_for_is_not_named() {
        let of = |files: &str| {
            let site = testing::site(&format!(
                "etcd: {{type: external, external: {{endpoints: ['https://10.0.0.9:2379']{files}}}}}"
            ));
            match etcd(&site) {
                KubeadmEtcd::External { tls, .. } => tls.map(|tls| tls.client.is_some()),
                KubeadmEtcd::Local { .. } => panic!("it is external"),
            }
        };
        assert_eq!(of(""), None);
        assert_eq!(of(", caFile: /a/ca"), Some(false));
        assert_eq!(
            of(", caFile: /a/ca, certFile: /a/crt, keyFile: /a/key"),
            Some(true)
        );
    }
}
