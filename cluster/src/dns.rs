use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Acts;

/// DNS inside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dns {
    /// Lines in the form of `/etc/hosts` that coredns answers from.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(extend("format" = "hosts-file"))]
    pub dns_etc_hosts: String,
    pub coredns: Coredns,
    #[schemars(extend("x-acts" = Acts::Bundle))]
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

/// Settings of nodelocaldns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodeLocalDns {
    /// Zones whose queries go elsewhere. The image of nodelocaldns is then bundled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_zones: Vec<ExternalZone>,
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
