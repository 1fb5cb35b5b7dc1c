//! A DNS cache on each node, which pods ask in place of coredns.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cluster::{ImageSet, NodeLocalDns, ProxyMode};
use engine::{Order, Step, Task};
use step::{
    ApplyManifest, Content, Feature, KernelModule, PodNetworkTraces, Port, RemoveNodeLocalDns,
};
use templates::{NodeLocalCorefile, NodeLocalDnsManifest, NodeLocalUpstream};

use super::{SERVICE, forwarded};
use crate::Site;
use crate::control_plane::once;
use crate::network::pods_on_nodes;
use crate::os::rendered;

/// Its interface, and the rules by which its packets are spared from being tracked.
pub(crate) const TRACES: PodNetworkTraces = PodNetworkTraces {
    name: "nodelocaldns",
    paths: &[],
    links: &["nodelocaldns"],
    protocols: &[],
    through: &[],
    // A shell splits words.
    rules: &["NodeLocal.DNS.Cache"],
};

/// What kind of interface its address is on.
pub(crate) const MODULE: KernelModule = KernelModule {
    name: "dummy",
    shows: Feature::Module,
};

/// Of its own metrics, its health, and the metrics of its cache. Its port for DNS is taken on its own addresses alone.
pub(crate) const PORTS: &[Port] = &[
    Port {
        number: 9253,
        of: "nodelocaldns",
    },
    Port {
        number: 9254,
        of: "nodelocaldns",
    },
    Port {
        number: 9353,
        of: "nodelocaldns",
    },
];

impl Site {
    /// Whether each node has a DNS cache.
    pub(crate) fn has_node_local_dns(&self) -> bool {
        self.cluster.spec.dns.nodelocaldns.runs()
    }

    /// Whom kubelets tell pods to ask.
    pub(crate) fn dns_of_pods(&self) -> Vec<IpAddr> {
        match self.told_to_pods() {
            Some(own) => vec![own.into()],
            None => self.cluster.spec.network.kube_service_cidr.nth(SERVICE),
        }
    }

    /// The cache's own address, where pods are told it. Only rules of iptables let the cache have the address of coredns'
    /// service as well, which is better: where it is down, its pods ask coredns.
    fn told_to_pods(&self) -> Option<Ipv4Addr> {
        let spec = &self.cluster.spec;
        let by_itself = spec.network.plugin.forwards_to_services()
            || match spec.kubernetes.proxy_mode() {
                ProxyMode::Iptables => false,
                ProxyMode::Ipvs | ProxyMode::Nftables => true,
            };
        (self.has_node_local_dns() && by_itself).then_some(NodeLocalDns::ADDRESS)
    }

    /// Where the cache listens.
    fn cache_addresses(&self) -> Vec<Ipv4Addr> {
        let own = NodeLocalDns::ADDRESS;
        if self.told_to_pods().is_some() {
            return vec![own];
        }
        let service = self.cluster.spec.network.kube_service_cidr.nth(SERVICE);
        let service = service.into_iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        [own].into_iter().chain(service).collect()
    }
}

/// The service comes first: the cache finds it in its environment, which is made when a pod is.
pub(super) fn manifests(site: &Site) -> Vec<Arc<dyn Step>> {
    if !site.has_node_local_dns() {
        return Vec::new();
    }
    let spec = &site.cluster.spec.dns;
    let addresses = site.cache_addresses();
    let local = NodeLocalDns::ADDRESS;
    let corefile = NodeLocalCorefile {
        zones: forwarded(&spec.nodelocaldns.external_zones),
        hosts: spec.dns_etc_hosts.clone(),
        addresses: addresses.clone(),
        local,
    };
    let image = site.first_of(ImageSet::Nodelocaldns);
    let manifest = NodeLocalDnsManifest {
        // `missing()` has found it before anything was touched.
        image: image
            .map(|image| image.reference.clone())
            .unwrap_or_default(),
        corefile: rendered(&corefile),
        addresses,
        local,
    };
    let applied = |name: &str, text: String| -> Arc<dyn Step> {
        Arc::new(ApplyManifest {
            name: name.to_owned(),
            content: Content::Text(text),
        })
    };
    vec![
        applied(
            "the way of nodelocaldns to coredns",
            rendered(&NodeLocalUpstream {}),
        ),
        applied("nodelocaldns", rendered(&manifest)),
    ]
}

/// Waits until each node has it.
#[must_use]
pub fn node_local_dns(site: &Site) -> Task {
    let task = Task::new("nodelocaldns");
    if !site.has_node_local_dns() || site.masters().is_empty() {
        return task;
    }
    pods_on_nodes(site, task, TRACES.name, "k8s-app=node-local-dns")
}

/// Takes it out where it is asked for no more.
#[must_use]
pub fn former_node_local_dns(before: &Site, now: &Site) -> Task {
    let task = Task::new("former nodelocaldns");
    if !before.has_node_local_dns() || now.has_node_local_dns() {
        return task;
    }
    let remove = RemoveNodeLocalDns {
        told: before.told_to_pods(),
    };
    once(now, task.then(Order::Settled), vec![Arc::new(remove)])
}
