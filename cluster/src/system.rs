use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Os;

/// Settings of the operating system, for every host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct System {
    /// The operating systems whose packages the bundle carries, beside those that hosts name: `[debian-13, rocky-9]`. None: it
    /// carries no packages, and the hosts have what they need. See docs/os-packages.md.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<Os>,
    /// Where hosts take their time from; a host of this config becomes a time server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "ip-or-name" }))]
    pub ntp_servers: Vec<String>,
    /// A name of the tz database: `Asia/Shanghai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "timezone", "x-default" = "left as it is"))]
    pub timezone: Option<String>,
    /// More packages for hosts with RPM, as their system calls them, with a version as `name=version`. They travel where `os`
    /// names the system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "package" }))]
    pub rpms: Vec<String>,
    /// More packages for hosts with dpkg, as their system calls them, with a version as `name=version`. They travel where `os`
    /// names the system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "package" }))]
    pub debs: Vec<String>,
    /// Systems beside those that kubexm knows, by the `ID` of their `/etc/os-release`: `[kylinsec]`. At your own risk: kubexm
    /// has been tried on none of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
    /// Set each machine's hostname to its `name`. Never done unless asked.
    pub set_hostname: bool,
}
