use std::sync::Arc;

use async_trait::async_trait;
use camino::{Utf8Path, Utf8PathBuf};
use engine::{Asks, Cx, Data, State, Step, StepError};

use super::RuntimeFacts;
use super::replacement::was_started;
use crate::before::{self, Resource};
use crate::{RemoveContainers, RunService};

/// Has a container runtime run. Unlike other services it does not take what it started with it when it is stopped, and so
/// its counterpart has more to do.
pub struct RunRuntime {
    pub runtime: &'static RuntimeFacts,
    /// In the order in which they are started. Taken back they go as one: pods end by all of them.
    pub services: Vec<RunService>,
    /// Where it keeps images and what containers write.
    pub data_dir: Utf8PathBuf,
    /// Where the kubelet keeps its pods and their volumes.
    pub kubelet_dir: Utf8PathBuf,
}

/// What the plugins of containers' networks and the kubelet make by themselves. The kubelet's goes here, when no
/// container holds a volume any more.
const TREES: [&str; 5] = [
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

/// What the kubelet makes in a directory that somebody has named for it, and which may hold more than that.
const OF_KUBELET: [&str; 13] = [
    "actuated_pods_state",
    "allocated_pods_state",
    "checkpoints",
    "cpu_manager_state",
    "device-plugins",
    "dra_manager_state",
    "memory_manager_state",
    "pki",
    "plugins",
    "plugins_registry",
    "pod-resources",
    "pods",
    "usernamespaces",
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

/// What a runtime and what runs on it leave on the host beside its data.
pub(crate) fn leaves(runtime: &RuntimeFacts, kubelet_dir: &Utf8Path) -> Vec<Resource> {
    let trees = runtime.leaves.iter().chain(&TREES);
    let own = trees.clone().any(|path| *path == kubelet_dir);
    let trees = trees.map(|path| Resource::Tree((*path).into()));
    let named = OF_KUBELET.iter().filter(|_| !own);
    let named = named.map(|name| Resource::Tree(kubelet_dir.join(name)));
    let emptied = (!own).then(|| Resource::Directory(kubelet_dir.to_owned()));
    let trees = trees.chain(named).chain(emptied);
    let sysctls = SYSCTLS
        .iter()
        .map(|key| Resource::Sysctl((*key).to_owned()));
    trees.chain(sysctls).collect()
}

#[async_trait]
impl Step for RunRuntime {
    fn id(&self) -> String {
        let ids: Vec<String> = self.services.iter().map(Step::id).collect();
        ids.join(", ")
    }

    fn describe(&self) -> String {
        let units: Vec<&str> = self.services.iter().map(|service| service.unit).collect();
        format!("run {}", units.join(" and "))
    }

    fn inputs(&self) -> String {
        let inputs: Vec<String> = self.services.iter().map(Step::inputs).collect();
        inputs.join("\n")
    }

    fn asks(&self) -> Asks {
        Asks::Host
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        for service in &self.services {
            if let State::Needed(why) = service.check(cx).await? {
                return Ok(State::needed(match self.services.len() {
                    1 => why,
                    _ => format!("{} {why}", service.unit),
                }));
            }
        }
        Ok(State::Satisfied)
    }

    /// Whichever runtime the pods there have: they are disturbed.
    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        was_started(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let mut resources = leaves(self.runtime, &self.kubelet_dir);
        resources.push(Resource::Data(self.data_dir.clone()));
        before::note(cx, &resources).await?;
        for service in &self.services {
            if service.check(cx).await? != State::Satisfied {
                service.apply(cx).await?;
            }
        }
        Ok(())
    }

    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>> {
        Some(Arc::new(RemoveContainers {
            runtime: self.runtime,
            data_dir: self.data_dir.clone(),
            kubelet_dir: self.kubelet_dir.clone(),
            data,
        }))
    }
}
