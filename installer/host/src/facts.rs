use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a machine is, asked once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub hostname: String,
    /// `uname -m`, e.g. `x86_64`.
    pub machine: String,
    /// `uname -r`.
    pub kernel: String,
    /// `ID` of os-release, e.g. `debian`.
    pub os: String,
    /// `VERSION_ID` of os-release, e.g. `13`.
    pub os_version: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// PID 1, e.g. `systemd`.
    pub init: String,
    pub cpus: u32,
    pub memory_kib: u64,
    pub swap_kib: u64,
    /// Every global address of every interface.
    pub addresses: Vec<IpAddr>,
    /// `/etc/machine-id`; cloned machines share it.
    pub machine_id: String,
    /// The host's clock when it was asked, and how far it is ahead of this machine's, in milliseconds; the round trip
    /// is the error bound.
    pub clock: Timestamp,
    pub clock_ahead_ms: i64,
    pub round_trip_ms: u64,
    pub cgroup: Cgroup,
    /// File systems by mount point.
    pub disks: BTreeMap<String, Disk>,
    /// TCP ports something listens on.
    pub listening: Vec<u16>,
    /// File systems the kernel knows (`/proc/filesystems`).
    pub filesystems: Vec<String>,
    /// The package managers and tools of `probes` that are on the PATH.
    pub commands: Vec<String>,
}

/// Which cgroup hierarchy rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cgroup {
    V1,
    V2,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub kind: String,
    pub size: u64,
    pub free: u64,
    pub noexec: bool,
}
