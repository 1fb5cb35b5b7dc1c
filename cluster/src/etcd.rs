use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Version;

/// The cluster's store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Etcd {
    /// Who sets etcd up.
    #[serde(rename = "type")]
    pub kind: EtcdType,
    /// etcd's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = "goes with Kubernetes"))]
    pub version: Option<Version>,
    /// Where an etcd that exists already is, for `type: external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalEtcd>,
    /// Where members keep their data. Put it on the fastest disk.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub data_dir: Utf8PathBuf,
    /// Between heartbeats. About the round trip between members; higher over long distances.
    #[schemars(range(min = 1), extend("x-unit" = "ms"))]
    pub heartbeat_interval: u32,
    /// Until an election, at most 50000. At least five heartbeats, ten are usual.
    #[schemars(range(min = 1, max = 50_000), extend("x-unit" = "ms"))]
    pub election_timeout: u32,
    /// Committed transactions between snapshots to disk. Lower saves memory, higher saves disk writes.
    #[schemars(range(min = 1))]
    pub snapshot_count: u64,
    /// History to keep. 0 keeps all, and the store grows without end.
    #[schemars(extend("x-unit" = "hours"))]
    pub auto_compaction_retention: u32,
    pub metrics: EtcdMetrics,
    /// Who reaches the metrics of a member, on port 2381. They are served without TLS and to anybody who asks: with `network`,
    /// let your firewall through nobody but Prometheus. With it `install` also writes alerts for Prometheus into the tree.
    pub metrics_listen: MetricsListen,
    /// The space quota. 2 GiB is etcd's own default, 8 GiB the most it suggests: more gets a warning. Preflight asks for so
    /// much free space.
    #[schemars(extend("x-unit" = "bytes"))]
    pub quota_backend_bytes: u64,
    /// The largest request; the default is 1.5 MiB.
    #[schemars(range(min = 1), extend("x-unit" = "bytes"))]
    pub max_request_bytes: u64,
    /// Snapshot files to keep. 0 keeps all.
    pub max_snapshots: u32,
    /// WAL files to keep. 0 keeps all.
    pub max_wals: u32,
    pub log_level: EtcdLogLevel,
    /// Snapshots that each member takes by itself, by a timer. Absent: none. `backup: {}` takes one every twelve hours.
    /// When this key goes the timer goes, and the snapshots stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<EtcdBackup>,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            kind: EtcdType::Kubexm,
            version: None,
            external: None,
            data_dir: "/var/lib/etcd".into(),
            heartbeat_interval: 250,
            election_timeout: 5_000,
            snapshot_count: 10_000,
            auto_compaction_retention: 8,
            metrics: EtcdMetrics::Basic,
            metrics_listen: MetricsListen::Host,
            quota_backend_bytes: 2 << 30,
            max_request_bytes: 1_572_864,
            max_snapshots: 5,
            max_wals: 5,
            log_level: EtcdLogLevel::Info,
            backup: None,
        }
    }
}

/// Snapshots that each member takes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EtcdBackup {
    /// When, as systemd's `OnCalendar` has it: `03:00`, `Mon..Fri 03:00`, `*-*-* 00/6:00:00`. Each member waits some minutes more,
    /// so that they do not all read their stores at once.
    #[schemars(extend("format" = "schedule"))]
    pub schedule: String,
    /// How many a member keeps. The oldest go, and only when a new one is there.
    #[schemars(range(min = 1, max = 1000))]
    pub keep: u32,
    /// Where, on each member. Better another disk than that of `dataDir`; it may be one that all members share. The snapshots hold
    /// every Secret of the cluster: they are for root alone.
    #[schemars(with = "String", extend("format" = "data-directory"))]
    pub dir: Utf8PathBuf,
    /// To whom `kubexm etcd backup` encrypts the cluster's authorities and keys, beside its snapshot: recipients of age
    /// (`age1...`) or public keys of SSH (`ssh-ed25519 AAAA...`). Absent: no keys are written. The timer writes none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = { "type": "string", "format": "recipient" }))]
    pub recipients: Vec<String>,
}

impl Default for EtcdBackup {
    fn default() -> Self {
        Self {
            schedule: "*-*-* 00/12:00:00".to_owned(),
            keep: 5,
            dir: "/var/backups/etcd".into(),
            recipients: Vec::new(),
        }
    }
}

/// Who sets etcd up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EtcdType {
    /// A service from the plain binary.
    #[default]
    Kubexm,
    /// Static pods, only with `kubernetes.type: kubeadm`.
    Kubeadm,
    /// It exists already.
    External,
}

/// An etcd that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalEtcd {
    /// Client URLs of the members.
    #[schemars(length(min = 1), extend("items" = { "type": "string", "format": "http-url" }))]
    pub endpoints: Vec<String>,
    /// The CA that signed its certificates. Not needed without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ca_file: Option<Utf8PathBuf>,
    /// The client certificate, together with `keyFile`. Not needed without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cert_file: Option<Utf8PathBuf>,
    /// The client certificate's key, together with `certFile`. Not needed without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub key_file: Option<Utf8PathBuf>,
}

/// How much detail etcd's metrics have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EtcdMetrics {
    /// Without histograms.
    #[default]
    Basic,
    /// With histograms.
    Extensive,
}

/// Who reaches the metrics of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsListen {
    /// Its own host alone.
    #[default]
    Host,
    /// Whoever reaches the host. A service listens on the host's first internal address beside the loopback, a static pod on
    /// every address.
    Network,
}

/// How much etcd logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EtcdLogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
    Panic,
    Fatal,
}

macro_rules! name {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// The name that etcd itself takes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

name!(EtcdMetrics { Basic => "basic", Extensive => "extensive" });
name!(EtcdLogLevel {
    Debug => "debug", Info => "info", Warn => "warn", Error => "error", Panic => "panic", Fatal => "fatal",
});
