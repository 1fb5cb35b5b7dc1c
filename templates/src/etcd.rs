use serde::Serialize;

use crate::template;

/// `/etc/etcd/etcd.env`: what one member is told at every start.
#[derive(Clone, Debug, Serialize)]
pub struct EtcdEnvironment {
    pub name: String,
    /// The member's own address, in brackets if it is IPv6.
    pub address: String,
    pub data_dir: String,
    pub pki_dir: String,
    pub heartbeat_ms: u32,
    pub election_ms: u32,
    pub snapshot_count: u64,
    /// Hours; 0 turns compaction off.
    pub compaction_hours: u32,
    pub quota_bytes: u64,
    pub max_request_bytes: u64,
    pub max_snapshots: u32,
    pub max_wals: u32,
    pub metrics: String,
    pub metrics_reach: MetricsReach,
    pub log_level: String,
    /// Which spelling of the start-up corruption check this version knows.
    pub corruption_check: CorruptionCheck,
}

/// Where a member serves its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsReach {
    Host,
    Network,
}

/// The name changed in 3.6, and 3.7 refuses to start with the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorruptionCheck {
    Experimental,
    FeatureGate,
}
template!(EtcdEnvironment, "etcd.env.j2");

/// `/etc/etcd/bootstrap.env`: read by etcd at its very first start, ignored ever after.
#[derive(Clone, Debug, Serialize)]
pub struct EtcdBootstrap {
    /// `new` or `existing`.
    pub state: BootstrapState,
    pub token: String,
    /// `name=https://address:2380` of every member.
    pub members: Vec<String>,
}

/// Whether a member founds a cluster or joins one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BootstrapState {
    New,
    Existing,
}
template!(EtcdBootstrap, "etcd-bootstrap.env.j2");

/// `etcd.service`.
#[derive(Clone, Debug, Serialize)]
pub struct EtcdUnit {
    pub data_dir: String,
}
template!(EtcdUnit, "etcd.service.j2");
