use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use crate::template;

/// What coredns answers, and whom it asks: its Corefile.
#[derive(Clone, Debug, Serialize)]
pub struct Corefile {
    /// The DNS domain of the cluster.
    pub domain: String,
    pub zones: Vec<ForwardedZone>,
    /// Lines for the default zone: the rewrite plugin's, and any others.
    pub rewrite: String,
    pub additional: String,
    /// Lines in the form of `/etc/hosts`.
    pub hosts: String,
    /// Whom to ask for what the cluster does not know: addresses, or a file that names them. Nobody: such names do not
    /// exist.
    pub upstream: Vec<String>,
}
template!(Corefile, "Corefile.j2");

/// Zones that others know.
#[derive(Clone, Debug, Serialize)]
pub struct ForwardedZone {
    pub zones: Vec<String>,
    pub nameservers: Vec<String>,
    /// Seconds that answers are kept.
    pub cache: u32,
    /// Rules of the rewrite plugin.
    pub rewrite: Vec<String>,
}

/// What the cache on each node answers, and whom it asks.
#[derive(Clone, Debug, Serialize)]
pub struct NodeLocalCorefile {
    pub zones: Vec<ForwardedZone>,
    /// Lines in the form of `/etc/hosts`, for these zones. For all else coredns has them.
    pub hosts: String,
    /// Where it listens.
    pub addresses: Vec<Ipv4Addr>,
    /// Where it says whether it is well.
    pub local: Ipv4Addr,
}
template!(NodeLocalCorefile, "node-local-dns.Corefile.j2");

/// The service by which the cache on each node reaches coredns, whatever address pods ask.
#[derive(Clone, Debug, Serialize)]
pub struct NodeLocalUpstream {}
template!(NodeLocalUpstream, "node-local-dns-upstream.yaml.j2");

/// The cache on each node itself.
#[derive(Clone, Debug, Serialize)]
pub struct NodeLocalDnsManifest {
    pub image: String,
    pub corefile: String,
    pub addresses: Vec<Ipv4Addr>,
    pub local: Ipv4Addr,
}
template!(NodeLocalDnsManifest, "node-local-dns.yaml.j2");

/// The `ConfigMap` from which coredns reads its Corefile.
#[derive(Clone, Debug, Serialize)]
pub struct CorednsConfig {
    pub corefile: String,
}
template!(CorednsConfig, "coredns-config.yaml.j2");

/// coredns itself, with the service by which pods reach it.
#[derive(Clone, Debug, Serialize)]
pub struct CorednsManifest {
    pub image: String,
    /// The service's addresses, that of the services' first family first.
    pub addresses: Vec<IpAddr>,
}
template!(CorednsManifest, "coredns.yaml.j2");
