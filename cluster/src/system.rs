use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Os;

/// Settings of the operating system, for every host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct System {
    /// The operating systems whose packages the bundle carries, beside those that hosts name: `[debian-13, rocky-9]`. Absent: it carries none, and the hosts have what they need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<Os>,
    /// Where the hosts take their time from. A host of this cluster becomes a time server itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "ip-or-name" }))]
    pub ntp_servers: Vec<String>,
    /// The time zone, e.g. `Asia/Shanghai`. Absent: left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "timezone"))]
    pub timezone: Option<String>,
    /// More packages for hosts with RPM.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "package" }))]
    pub rpms: Vec<String>,
    /// More packages for hosts with dpkg.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "package" }))]
    pub debs: Vec<String>,
    /// Set each machine's hostname to its name here. Hostnames are never changed unless asked.
    pub set_hostname: bool,
}
