//! What is started anew on request, by the turns and gates by which it changes at any other time.

use std::sync::Arc;
use std::time::Duration;

use cluster::{EtcdType, Host, KubernetesType, Role};
use engine::{Order, Retry, Rolling, Slot, Step, Task, Turn};
use step::{
    AskRestart, AwaitBooted, DrainNode, EmptyNode, HealthyMembers, KubeadmControlPlane, LocalData,
    LookAtPods, ProveApiserver, RebootHost, RestartStaticPods, RunService, SpareEtcd,
    SpareStackedEtcd, UncordonNode, VerifyEtcd,
};

use crate::Site;
use crate::check::CONTROL_PLANE;
use crate::etcd::service as etcd_service;
use crate::nodes::leave::new_pods;
use crate::site::url_address;

/// What of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Cluster,
    Etcd,
    ControlPlane,
    Nodes,
}

/// How pods leave a node before its host is restarted.
#[derive(Clone, Copy, Debug)]
pub struct Draining {
    pub timeout: Duration,
    pub local: LocalData,
}

impl Part {
    fn is(self, part: Self) -> bool {
        self == Self::Cluster || self == part
    }

    /// The hosts that have something of it, in the order of the config.
    #[must_use]
    pub fn hosts(self, site: &Site) -> Vec<String> {
        let members = site.members_of_etcd();
        let has = |host: &&Host| {
            let is = |role| site.cluster.is_in(&host.name, role);
            match self {
                Self::Cluster => true,
                Self::Etcd => members.contains(&host.name),
                Self::ControlPlane => is(Role::Master),
                Self::Nodes => is(Role::Master) || is(Role::Worker),
            }
        };
        let hosts = site.cluster.spec.hosts.iter().filter(has);
        hosts.map(|host| host.name.clone()).collect()
    }
}

/// The units of a part on a host.
fn units(site: &Site, part: Part, host: &str) -> Vec<&'static str> {
    let is = |role| site.cluster.is_in(host, role);
    let plain = site.cluster.spec.kubernetes.kind == KubernetesType::Kubexm;
    let mut units = Vec::new();
    if part.is(Part::Etcd) && site.cluster.spec.etcd.kind == EtcdType::Kubexm && is(Role::Etcd) {
        units.push("etcd.service");
    }
    if part.is(Part::ControlPlane) && plain && is(Role::Master) {
        units.extend([
            "kube-apiserver.service",
            "kube-controller-manager.service",
            "kube-scheduler.service",
        ]);
    }
    if part.is(Part::Nodes) && (is(Role::Master) || is(Role::Worker)) {
        units.extend(site.runtime().facts().units);
        units.push("kubelet.service");
        units.extend(plain.then_some("kube-proxy.service"));
    }
    units
}

/// Notes on these hosts what is to be started anew. Whatever sees to a service does so when its turn comes.
#[must_use]
pub fn ask_restarts(site: &Site, part: Part, hosts: &[String]) -> Task {
    Task::new("restarts").on_each(hosts, |host| {
        let units = units(site, part, host).into_iter();
        units
            .map(|unit| -> Arc<dyn Step> { Arc::new(AskRestart { unit }) })
            .collect()
    })
}

/// The same of what kubeadm runs as pods: one master after the other, each well before the next.
#[must_use]
pub fn restart_static_pods(site: &Site, part: Part, hosts: &[String]) -> Task {
    let task = Task::new("static pods");
    let mut pods = Vec::new();
    if part.is(Part::Etcd) && site.cluster.spec.etcd.kind == EtcdType::Kubeadm {
        pods.push("etcd");
    }
    if part.is(Part::ControlPlane) {
        pods.extend([
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
        ]);
    }
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubeadm || pods.is_empty() {
        return task;
    }
    let endpoint = &site.cluster.spec.control_plane_endpoint;
    let masters = site.masters().into_iter();
    let masters = masters.filter(|host| hosts.contains(&host.name));
    let rolling = masters.fold(Rolling::one_by_one(), |rolling, host| {
        let restart = RestartStaticPods {
            pods: pods.clone(),
            port: endpoint.port,
            done: Slot::new(&host.name),
        };
        let ready = KubeadmControlPlane {
            port: endpoint.port,
        };
        let turn = Turn::new(Arc::new(restart)).healthy(vec![Arc::new(ready)]);
        rolling.on(&host.name, turn)
    });
    task.roll(rolling)
}

/// Whether the others bear that this host is away: asked before any of its pods has to go.
#[must_use]
pub fn spare(site: &Site, host: &Host) -> Task {
    Task::new("spare").on(&host.name, gates(site, host).spare)
}

/// Restarts a host: its pods go elsewhere before, where there is an elsewhere, and it takes pods again as before when it is back
/// and well. A member of etcd goes only if the others bear it, which may have changed while its pods went.
#[must_use]
pub fn reboot(site: &Site, host: &Host, draining: Draining) -> Task {
    let Draining { timeout, local } = draining;
    let nodes = site.runtime_hosts();
    let is_node = nodes.iter().any(|node| node.name == host.name);
    let node = || host.name.clone();
    let boot = Slot::new(&host.name);
    let mut drain: Vec<Arc<dyn Step>> = Vec::new();
    if is_node && nodes.len() > 1 {
        drain.push(Arc::new(LookAtPods {
            node: node(),
            local,
        }));
        drain.push(Arc::new(new_pods(&host.name)));
        drain.push(Arc::new(EmptyNode {
            drain: DrainNode {
                node: node(),
                timeout,
                local,
            },
            by: CONTROL_PLANE,
        }));
    }
    let Gates { spare, well } = gates(site, host);
    let mut on_host = spare;
    on_host.push(Arc::new(RebootHost { boot: boot.clone() }));
    on_host.extend(well);
    let mut back: Vec<Arc<dyn Step>> = Vec::new();
    if is_node {
        back.push(Arc::new(AwaitBooted { node: node(), boot }));
        back.push(Arc::new(UncordonNode { node: node() }));
    }
    Task::new("reboot")
        .on(CONTROL_PLANE, drain)
        .then(Order::AllHosts)
        .on(&host.name, on_host)
        .then(Order::AllHosts)
        .on(CONTROL_PLANE, back)
}

/// What must hold of the others before a host goes away, and of itself when it is back.
#[derive(Default)]
struct Gates {
    spare: Vec<Arc<dyn Step>>,
    well: Vec<Arc<dyn Step>>,
}

fn gates(site: &Site, host: &Host) -> Gates {
    let is = |role| site.cluster.is_in(&host.name, role);
    let mut gates = Gates::default();
    match site.cluster.spec.etcd.kind {
        EtcdType::Kubexm if is(Role::Etcd) => {
            let cluster = site.etcd();
            let RunService { unit, reads } = etcd_service();
            gates.spare.push(Arc::new(SpareEtcd {
                service: RunService { unit, reads },
                me: Site::peer(host),
                cluster: cluster.clone(),
            }));
            gates.well.push(Arc::new(VerifyEtcd {
                cluster,
                wanted: HealthyMembers::All,
            }));
        }
        EtcdType::Kubeadm if is(Role::Master) => {
            gates.spare.push(Arc::new(SpareStackedEtcd));
        }
        EtcdType::Kubexm | EtcdType::Kubeadm | EtcdType::External => {}
    }
    if is(Role::Master) {
        let port = site.cluster.spec.control_plane_endpoint.port;
        gates.well.push(Arc::new(ProveApiserver {
            server: format!("https://{}:{port}", url_address(host)),
            patience: COMES_UP,
        }));
    }
    gates
}

/// Longer than a master needs, from its boot to an apiserver.
pub(crate) const COMES_UP: Retry = Retry {
    attempts: 60,
    first_delay: Duration::from_secs(10),
};
