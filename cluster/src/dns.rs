use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// DNS inside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dns {
    /// Lines in the form of `/etc/hosts` that coredns answers from.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("format" = "hosts-file"))]
    pub dns_etc_hosts: String,
    pub coredns: Coredns,
    pub nodelocaldns: NodeLocalDns,
}

/// Settings of coredns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Coredns {
    /// Lines added to the default zone of the Corefile.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub additional_configs: String,
    /// Zones whose queries go elsewhere, before the default zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_zones: Vec<ExternalZone>,
    /// A block of the rewrite plugin.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rewrite_block: String,
    /// DNS servers asked for what the cluster does not know: `8.8.8.8`, with a port if it is not 53.
    #[serde(rename = "upstreamDNSServers", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "ip-port" }))]
    pub upstream_dns_servers: Vec<String>,
}

/// nodelocaldns: a cache on each node that pods ask in place of coredns. See docs/networks.md#dns-on-each-node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeLocalDns {
    /// Whether it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "`true` where `externalZones` are named, else `false`"))]
    pub enabled: Option<bool>,
    /// Zones whose queries it sends elsewhere, past coredns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_zones: Vec<ExternalZone>,
}

impl NodeLocalDns {
    /// The address on each node that nobody else has, and no packet leaves the node for.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);

    /// Whether it is asked for.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.enabled.unwrap_or(!self.external_zones.is_empty())
    }
}

/// Zones whose queries are forwarded elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalZone {
    /// Domains, each with a port if it is not 53.
    #[schemars(length(min = 1), extend("items" = { "type": "string", "format": "zone" }))]
    pub zones: Vec<String>,
    /// Where their queries go: IP addresses, each with a port if it is not 53.
    #[schemars(length(min = 1), extend("items" = { "type": "string", "format": "ip-port" }))]
    pub nameservers: Vec<String>,
    /// Seconds that answers are kept.
    #[serde(default = "thirty")]
    #[schemars(extend("x-unit" = "s"))]
    pub cache: u32,
    /// Rules of the rewrite plugin, each without the word `rewrite`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewrite: Vec<String>,
}

const fn thirty() -> u32 {
    30
}
