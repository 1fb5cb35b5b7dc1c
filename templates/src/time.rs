use std::net::IpAddr;

use serde::Serialize;

use crate::template;

/// `chrony.conf`.
#[derive(Clone, Debug, Serialize)]
pub struct ChronyConfig {
    /// Whom this host goes by outside of the cluster: addresses or names.
    pub servers: Vec<String>,
    /// And within: asked more often, for they may have begun just now.
    pub hosts: Vec<String>,
    /// The hosts that go by this one. None: it serves nobody.
    pub clients: Vec<IpAddr>,
    pub drift_file: String,
}
template!(ChronyConfig, "chrony.conf.j2");
