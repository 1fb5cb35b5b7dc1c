use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8PathBuf;
use engine::{Asks, Cx, Data, State, Step, StepError};

use crate::before::{self, Resource};
use crate::{RemoveContainers, RunService};

/// Has containerd run. Unlike other services it does not take what it started with it when it is stopped, and so its
/// counterpart has more to do.
pub struct RunContainerd {
    pub service: RunService,
    /// Where it keeps images and what containers write.
    pub data_dir: Utf8PathBuf,
}

/// What containerd, the plugins of its networks and the kubelet make by themselves. The kubelet's goes here, when no
/// container holds a volume any more.
const TREES: [&str; 8] = [
    "/run/containerd",
    "/run/nri",
    "/opt/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

/// Kernel parameters that kube-proxy sets by itself, whatever way it balances.
const SYSCTLS: [&str; 13] = [
    "net.ipv4.conf.all.arp_announce",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.vs.conn_reuse_mode",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.expire_nodest_conn",
    "net.ipv4.vs.expire_quiescent_template",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_udp_timeout",
    "net.netfilter.nf_conntrack_udp_timeout_stream",
];

impl RunContainerd {
    /// What it and what runs on it leave on the host beside its data.
    pub(crate) fn leaves() -> Vec<Resource> {
        let trees = TREES.iter().map(|path| Resource::Tree((*path).into()));
        let sysctls = SYSCTLS
            .iter()
            .map(|key| Resource::Sysctl((*key).to_owned()));
        trees.chain(sysctls).collect()
    }
}

#[async_trait]
impl Step for RunContainerd {
    fn id(&self) -> String {
        self.service.id()
    }

    fn describe(&self) -> String {
        self.service.describe()
    }

    fn inputs(&self) -> String {
        self.service.inputs()
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.service.check(cx).await
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        self.service.at_work(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let mut resources = Self::leaves();
        resources.push(Resource::Data(self.data_dir.clone()));
        before::note(cx, &resources).await?;
        self.service.apply(cx).await
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemoveContainers {
            unit: self.service.resource(),
            data_dir: self.data_dir.clone(),
            data,
        }))
    }
}
