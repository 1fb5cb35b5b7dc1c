//! A cluster by kubeadm: its masters one after the other, its workers side by side.

pub(crate) mod config;
mod lost_members;
mod upgrade;

use std::sync::Arc;

use artifact::Sha256;
use cluster::{EtcdType, Host, KubernetesType, Role};
use engine::{Order, Rolling, Slot, Step, Task, Turn};
use step::{
    BootstrapToken, Content, JoinCredentials, Joining, JoiningEtcd, KeyPairFiles,
    KubeadmControlPlane, KubeadmEtcd, KubeadmInit, KubeadmJoin, KubeadmPhase, LookAtNode,
    Membership, RemoveEtcdMember, RemoveLostMember, ResetNode, RevokeTokens, RunKubeadmPhase,
};

use crate::Site;
use crate::check::CONTROL_PLANE;
use crate::control_plane::pki::{CA, FRONT_PROXY_CA};
use crate::control_plane::{etcd_client, once};
use crate::etcd::ETCD;
use crate::files::{directory, key_pair, upload};
use crate::kube::PKI;
use crate::kubeadm::config::{join, kube_proxy, kubeadm};
use crate::nodes::ROLL;
use crate::nodes::kubelet::{heartbeat, kubelet_files, kubelet_service};
use crate::os::rendered;
use crate::rotation::signing_file;
use crate::site::names;

pub use upgrade::etcd_first;

const CONFIG: &str = "/etc/kubernetes/kubeadm.yaml";

/// The first master begins the cluster, the others join it one at a time. A change goes the same way: the next master is
/// touched when the one before is well.
#[must_use]
pub fn kubeadm_masters(site: &Site) -> Task {
    let mut task = Task::new("masters");
    let masters = site.masters();
    let Some((first, others)) = masters.split_first() else {
        return task;
    };
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubeadm {
        return task;
    }
    if site.hop.is_some() {
        return upgrade::masters(site, first, others);
    }
    let joins = Joins::new(site, others);
    task = task.on_each(&names(site.masters()), |_| {
        vec![Arc::new(site.foundation())]
    });
    for host in others {
        task = task.on(&host.name, vec![joins.look(host)]);
    }
    task = lost_members::readmit_lost(site, task);
    let init = Arc::new(KubeadmInit {
        certificates: signed(site),
        reset: reset(site),
        others: joins.nodes.clone(),
        note: site.tree.certs("kubernetes").join("begun"),
    });
    let begins = Rolling::one_by_one().on(&first.name, master(site, first, init));
    // Behind a first master that did not bear a change the cluster keeps what it has, and all others what they have.
    task = task.then(Order::Settled).roll(begins).then(Order::Rolled);
    task = once(site, task, phases(site, first).into());
    task = joins.remove_lost(task);
    task = joins.make_token(task);
    let follow = others.iter().fold(Rolling::one_by_one(), |rolling, host| {
        rolling.on(&host.name, master(site, host, joins.join(host)))
    });
    revoke_tokens(task.roll(follow))
}

/// A master that comes into its cluster by this step. What is at work there changes piece by piece, each well before the
/// next is touched.
fn master(site: &Site, host: &Host, enter: Arc<dyn Step>) -> Turn {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let turn = Turn::new(enter)
        .with(master_files(site, host))
        .then(Arc::new(kubelet_service(site)))
        .healthy(vec![heartbeat(host)]);
    let turn = match site.cluster.spec.etcd.kind {
        EtcdType::Kubeadm => turn.then(Arc::new(KubeadmEtcd { port })),
        EtcdType::Kubexm | EtcdType::External => turn,
    };
    turn.then(Arc::new(KubeadmControlPlane { port }))
}

/// When everybody has joined, or could not.
fn revoke_tokens(task: Task) -> Task {
    task.then(Order::Settled)
        .on(CONTROL_PLANE, vec![Arc::new(RevokeTokens)])
}

/// The workers that are no masters join side by side. Where a kubelet is at work, they take turns.
#[must_use]
pub fn kubeadm_workers(site: &Site) -> Task {
    let mut task = Task::new("workers");
    let workers = site.plain_workers();
    if site.cluster.spec.kubernetes.kind != KubernetesType::Kubeadm {
        return task;
    }
    if workers.is_empty() {
        return task;
    }
    if site.hop.is_some() {
        return upgrade::workers(site, &workers);
    }
    let joins = Joins::new(site, &workers);
    for host in &workers {
        task = task.on(&host.name, vec![joins.look(host)]);
    }
    task = joins.make_token(task);
    let rolling = workers.iter().fold(Rolling::new(ROLL), |rolling, host| {
        let turn = Turn::new(joins.join(host))
            .with(kubelet_files(site, host))
            .then(Arc::new(kubelet_service(site)))
            .healthy(vec![heartbeat(host)]);
        rolling.on(&host.name, turn)
    });
    revoke_tokens(task.roll(rolling))
}

/// Nodes that join by one token.
struct Joins<'a> {
    site: &'a Site,
    nodes: Vec<(String, Slot<Membership>)>,
    credentials: Slot<Option<JoinCredentials>>,
}

impl<'a> Joins<'a> {
    fn new(site: &'a Site, nodes: &[&Host]) -> Self {
        let slot = |host: &&Host| (host.name.clone(), Slot::new(&host.name));
        Self {
            site,
            nodes: nodes.iter().map(slot).collect(),
            credentials: Slot::new("the bootstrap token"),
        }
    }

    fn is_master(&self, host: &Host) -> bool {
        self.site.cluster.is_in(&host.name, Role::Master)
    }

    fn joining(&self, host: &Host) -> Joining {
        if !self.is_master(host) {
            return Joining::Worker;
        }
        Joining::Master {
            certificates: signed(self.site),
            etcd: match self.site.cluster.spec.etcd.kind {
                EtcdType::Kubeadm => JoiningEtcd::Member {
                    data_dir: self.site.cluster.spec.etcd.data_dir.clone(),
                },
                EtcdType::Kubexm | EtcdType::External => JoiningEtcd::Nothing,
            },
        }
    }

    fn look(&self, host: &Host) -> Arc<dyn Step> {
        let of = self.nodes.iter().find(|(name, _)| *name == host.name);
        let membership = of.map_or_else(|| Slot::new(&host.name), |(_, slot)| slot.clone());
        Arc::new(LookAtNode {
            joining: self.joining(host),
            membership,
        })
    }

    /// Members of masters that come back with nothing, before these join.
    fn remove_lost(&self, task: Task) -> Task {
        if self.site.cluster.spec.etcd.kind != EtcdType::Kubeadm {
            return task;
        }
        let masters = self.site.masters();
        let of = |(name, membership): &(String, Slot<Membership>)| {
            let host = masters.iter().find(|host| host.name == *name)?;
            let member = Site::peer(host);
            let mut cluster = self.site.etcd();
            cluster.peers.retain(|peer| *peer != member);
            let step: Arc<dyn Step> = Arc::new(RemoveLostMember {
                membership: membership.clone(),
                remove: RemoveEtcdMember { member, cluster },
            });
            Some(step)
        };
        let steps: Vec<Arc<dyn Step>> = self.nodes.iter().filter_map(of).collect();
        if steps.is_empty() {
            return task;
        }
        task.then(Order::Settled).on(ETCD, steps)
    }

    /// When everybody has been looked at. Who could not be does not keep the others from joining.
    fn make_token(&self, task: Task) -> Task {
        if self.nodes.is_empty() {
            return task;
        }
        let nodes = self.nodes.iter().map(|(_, slot)| slot.clone()).collect();
        let step = BootstrapToken {
            nodes,
            credentials: self.credentials.clone(),
        };
        task.then(Order::Settled)
            .on(CONTROL_PLANE, vec![Arc::new(step)])
    }

    fn join(&self, host: &Host) -> Arc<dyn Step> {
        let spec = &self.site.cluster.spec;
        let endpoint = self.is_master(host).then_some(host);
        Arc::new(KubeadmJoin {
            joining: self.joining(host),
            config: join(self.site, host, endpoint, &self.credentials),
            name: spec.control_plane_endpoint.domain.clone(),
            reset: reset(self.site),
        })
    }
}

/// Everything on a master that is there before kubeadm is: it signs with the authorities that it finds.
fn master_files(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    let mut steps = kubelet_files(site, host);
    steps.extend(pki_files(site));
    steps.extend(store(site));
    let config = rendered(&kubeadm(site, host));
    steps.push(upload(CONFIG, Content::Text(config), 0o600));
    steps
}

/// What of a master's files follows from the authorities alone.
pub(crate) fn authorities(site: &Site) -> Vec<Arc<dyn Step>> {
    [pki_files(site), store(site)].concat()
}

/// With what kubeadm signs.
fn pki_files(site: &Site) -> Vec<Arc<dyn Step>> {
    let mut steps = Vec::new();
    for name in [CA, FRONT_PROXY_CA] {
        steps.push(key_pair(site.kubernetes_files(name), name));
    }
    steps.push(signing_file(site));
    let accounts = site.service_account_key();
    for (name, from, mode) in [
        ("sa.pub", accounts.public(), 0o644),
        ("sa.key", accounts.key(), 0o600),
    ] {
        steps.push(upload(format!("{PKI}/{name}"), Content::Local(from), mode));
    }
    steps
}

/// With what a master enters the store, or runs a member of it.
fn store(site: &Site) -> Vec<Arc<dyn Step>> {
    match site.cluster.spec.etcd.kind {
        EtcdType::Kubexm | EtcdType::External => etcd_client(site),
        EtcdType::Kubeadm => vec![
            directory(format!("{PKI}/etcd")),
            key_pair(
                KeyPairFiles::at(site.tree.certs("etcd").join("ca")),
                "etcd/ca",
            ),
        ],
    }
}

/// What kubeadm signs by itself on a master, without suffix.
fn signed(site: &Site) -> Vec<String> {
    let mut names = vec![
        "apiserver",
        "apiserver-kubelet-client",
        "front-proxy-client",
    ];
    if site.cluster.spec.etcd.kind == EtcdType::Kubeadm {
        names.extend([
            "apiserver-etcd-client",
            "etcd/server",
            "etcd/peer",
            "etcd/healthcheck-client",
        ]);
    }
    let path = |name: &str| format!("{PKI}/{name}");
    names.into_iter().map(path).collect()
}

/// What the cluster itself keeps of all this.
fn phases(site: &Site, first: &Host) -> [Arc<dyn Step>; 2] {
    let version = site.kubernetes_version().with_v();
    let config = rendered(&kubeadm(site, first));
    let proxy = rendered(&kube_proxy(site)) + &version;
    let phase = |phase, text: &str| -> Arc<dyn Step> {
        Arc::new(RunKubeadmPhase {
            phase,
            digest: Sha256::of(text.as_bytes()).to_string(),
        })
    };
    [
        phase(KubeadmPhase::UploadConfig, &config),
        phase(KubeadmPhase::KubeProxy, &proxy),
    ]
}

fn reset(site: &Site) -> Arc<ResetNode> {
    let etcd = &site.cluster.spec.etcd;
    Arc::new(ResetNode {
        data: match etcd.kind {
            EtcdType::Kubeadm => vec![etcd.data_dir.clone()],
            EtcdType::Kubexm | EtcdType::External => Vec::new(),
        },
    })
}
