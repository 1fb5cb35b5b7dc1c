//! A store that is brought back, with all who read it stopped meanwhile.

use std::sync::Arc;

use artifact::Sha256;
use camino::Utf8PathBuf;
use cluster::{EtcdType, Host, KubernetesType};
use engine::{Order, Slot, Step, Task};
use step::{
    BackupNote, BeginRestore, BringSnapshot, DrillSnapshot, Drilled, EndRestore, HaltNode,
    HealthyMembers, InsistOnEncryption, NoteSwapped, PrepareData, RemoveSnapshot, RestartWorkloads,
    Restore, Revisions, SnapshotFile, SnapshotSeal, StartStaticPods, StartUnits, StartWait,
    SwapData, VerifyEtcd,
};

use super::{UNIT, tools};
use crate::nodes::kubelet::heartbeat;
use crate::site::names;
use crate::{CONTROL_PLANE, OPERATOR, Site};

const KUBELET: &str = "kubelet.service";
const KUBE_PROXY: &str = "kube-proxy.service";
const APISERVER: &str = "kube-apiserver";
const OTHERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];
/// The first etcd that can raise revisions while it restores.
const BUMPS: (u64, u64, u64) = (3, 5, 10);

/// What is restored, and as which restore.
#[derive(Clone)]
pub struct RestorePlan {
    pub snapshot: SnapshotFile,
    pub restore: Restore,
    /// Since when, as it stands in the names of what is set aside.
    pub aside: String,
    /// Of the file that apiservers must encrypt by.
    pub encryption: Option<Sha256>,
}

/// Where a restore that has begun is noted.
#[must_use]
pub fn restore_note(site: &Site) -> Utf8PathBuf {
    site.tree.state().join("etcd-restore.json")
}

impl Site {
    /// Members and masters: the store and all who read it directly.
    fn core(&self) -> Vec<String> {
        let mut core = names(self.members());
        core.extend(names(self.masters()));
        core.sort_unstable();
        core.dedup();
        core
    }

    fn by_kubeadm(&self) -> bool {
        self.cluster.spec.kubernetes.kind == KubernetesType::Kubeadm
    }

    fn is_stacked(&self) -> bool {
        self.cluster.spec.etcd.kind == EtcdType::Kubeadm
    }
}

/// What follows waits for the store's members and the masters, and for nobody else.
#[must_use]
pub fn core_of(site: &Site) -> Order {
    all_of(site.core())
}

/// Goes on when all of these hosts are done, whatever becomes of others.
fn all_of(hosts: Vec<String>) -> Order {
    Order::Enough {
        needed: hosts.len(),
        of: hosts,
    }
}

fn seal(snapshot: &SnapshotFile) -> SnapshotSeal {
    if snapshot.sealed {
        SnapshotSeal::There
    } else {
        SnapshotSeal::Missing
    }
}

/// Whether the etcd of the bundle can raise revisions.
#[must_use]
pub fn revisions(site: &Site) -> Revisions {
    let version = match site.cluster.spec.etcd.kind {
        EtcdType::Kubeadm => site
            .first_of(artifact::ImageSet::Etcd)
            .and_then(|image| artifact::split_tag(&image.reference).1),
        EtcdType::Kubexm | EtcdType::External => site.release.version_of("etcd"),
    };
    let version = version.unwrap_or_default().trim_start_matches('v');
    let mut numbers = version
        .split(['.', '-'])
        .map(|number| number.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) >= BUMPS {
        Revisions::Bumped
    } else {
        Revisions::AsTheyAre
    }
}

/// Each member's new data beside its old, while everything runs. What cannot be restored is known then.
#[must_use]
pub fn prepare_restore(site: &Site, plan: &RestorePlan) -> Task {
    let mut begin: Vec<Arc<dyn Step>> = vec![Arc::new(BeginRestore {
        note: restore_note(site),
        restore: plan.restore.clone(),
    })];
    begin.extend(tools::unpack(site, &site.arches()));
    let mut task = Task::new("prepare");
    if let Some(wanted) = plan.encryption {
        let masters = names(site.masters());
        let path = super::binding_files(site).encryption;
        task = task
            .on_each(&masters, |_| {
                let path = path.clone();
                vec![Arc::new(InsistOnEncryption { path, wanted })]
            })
            .then(all_of(masters.clone()));
    }
    let mut task = task
        .on(OPERATOR, begin)
        .then(Order::Host(OPERATOR.to_owned()));
    for host in site.members() {
        let etcdutl = tools::program(site, "etcdutl", host.arch)
            .or_else(|| tools::program(site, "etcdctl", host.arch));
        let bring = BringSnapshot {
            id: plan.restore.id.clone(),
            snapshot: plan.snapshot.path.clone(),
            sha256: plan.snapshot.sha256,
            bytes: plan.snapshot.bytes,
            etcdutl: etcdutl.unwrap_or_default(),
        };
        let prepare = PrepareData {
            id: plan.restore.id.clone(),
            me: Site::peer(host),
            cluster: site.etcd(),
            data_dir: site.cluster.spec.etcd.data_dir.clone(),
            bytes: plan.snapshot.bytes,
            seal: seal(&plan.snapshot),
            revisions: revisions(site),
        };
        task = task.on(&host.name, vec![Arc::new(bring), Arc::new(prepare)]);
    }
    task
}

/// Who reads the store is stopped: the masters' own first, kubelets with them, the members at last.
#[must_use]
pub fn halt(site: &Site) -> Task {
    let mut task = Task::new("halt");
    for host in site.masters() {
        task = task.on(&host.name, vec![Arc::new(halt_master(site))]);
    }
    for host in site.plain_workers() {
        let units = node_units(site);
        let halt = HaltNode {
            units,
            held: Vec::new(),
            pods: Vec::new(),
        };
        task = task.on(&host.name, vec![Arc::new(halt)]);
    }
    if site.is_stacked() {
        return task;
    }
    task.then(all_of(names(site.masters())))
        .on_each(&names(site.members()), |_| {
            vec![Arc::new(HaltNode {
                units: vec![UNIT],
                held: Vec::new(),
                pods: Vec::new(),
            })]
        })
}

fn halt_master(site: &Site) -> HaltNode {
    if !site.by_kubeadm() {
        let mut units = vec!["kube-apiserver.service"];
        units.extend(["kube-controller-manager.service", "kube-scheduler.service"]);
        units.extend(node_units(site));
        return HaltNode {
            units,
            held: Vec::new(),
            pods: Vec::new(),
        };
    }
    let mut held = vec![APISERVER];
    held.extend(OTHERS);
    HaltNode {
        units: vec![KUBELET],
        held,
        pods: if site.is_stacked() {
            vec!["etcd"]
        } else {
            Vec::new()
        },
    }
}

fn node_units(site: &Site) -> Vec<&'static str> {
    if site.by_kubeadm() {
        vec![KUBELET]
    } else {
        vec![KUBELET, KUBE_PROXY]
    }
}

/// All members get the new data when all of them are stopped. From then on nothing is stopped any more.
#[must_use]
pub fn swap(site: &Site, plan: &RestorePlan) -> Task {
    let task = Task::new("swap").on_each(&names(site.members()), |_| {
        vec![Arc::new(SwapData {
            id: plan.restore.id.clone(),
            data_dir: site.cluster.spec.etcd.data_dir.clone(),
            aside: format!("kubexm-aside-{}-{}", plan.aside, plan.restore.id),
        })]
    });
    task.then(all_of(names(site.members()))).on(
        OPERATOR,
        vec![Arc::new(NoteSwapped {
            note: restore_note(site),
            restore: plan.restore.clone(),
        })],
    )
}

/// All members together, until each of them is healthy.
#[must_use]
pub fn start_members(site: &Site) -> Task {
    let start = || -> Vec<Arc<dyn Step>> {
        if site.is_stacked() {
            return vec![
                Arc::new(StartUnits {
                    units: vec![KUBELET],
                    wait: StartWait::UntilUp,
                }),
                Arc::new(StartStaticPods {
                    pods: vec!["etcd"],
                    apiserver: None,
                }),
            ];
        }
        vec![Arc::new(StartUnits {
            units: vec![UNIT],
            wait: StartWait::Together,
        })]
    };
    let members = names(site.members());
    Task::new("members")
        .on_each(&members, |_| start())
        .then(all_of(members.clone()))
        .on_each(&members, |_| {
            vec![Arc::new(VerifyEtcd {
                cluster: site.etcd(),
                wanted: HealthyMembers::All,
            })]
        })
}

/// One apiserver, then the others, then who acts through them.
#[must_use]
pub fn start_control_plane(site: &Site) -> Task {
    let port = site.cluster.spec.control_plane_endpoint.port;
    let apiserver = |host: &Host| -> Vec<Arc<dyn Step>> {
        if site.by_kubeadm() {
            return vec![
                Arc::new(StartUnits {
                    units: vec![KUBELET],
                    wait: StartWait::UntilUp,
                }),
                Arc::new(StartStaticPods {
                    pods: vec![APISERVER],
                    apiserver: Some(port),
                }),
            ];
        }
        vec![
            Arc::new(StartUnits {
                units: vec!["kube-apiserver.service"],
                wait: StartWait::UntilUp,
            }),
            crate::control_plane::apiserver_is_ready(site, host),
        ]
    };
    let others = || -> Vec<Arc<dyn Step>> {
        if site.by_kubeadm() {
            return vec![Arc::new(StartStaticPods {
                pods: OTHERS.to_vec(),
                apiserver: Some(port),
            })];
        }
        vec![Arc::new(StartUnits {
            units: vec!["kube-controller-manager.service", "kube-scheduler.service"],
            wait: StartWait::UntilUp,
        })]
    };
    let mut task = Task::new("control plane");
    let masters = site.masters();
    if let Some((first, rest)) = masters.split_first() {
        task = task
            .on(&first.name, apiserver(first))
            .then(all_of(vec![first.name.clone()]));
        for host in rest {
            task = task.on(&host.name, apiserver(host));
        }
    }
    task.then(all_of(names(site.masters())))
        .on_each(&names(site.masters()), |_| others())
}

/// Kubelets on all nodes, and what the cluster runs for itself: each of them knows what is no more.
#[must_use]
pub fn start_nodes(site: &Site, plan: &RestorePlan) -> Task {
    let task = site
        .runtime_hosts()
        .into_iter()
        .fold(Task::new("nodes"), |task, host| {
            let start = StartUnits {
                units: node_units(site),
                wait: StartWait::UntilUp,
            };
            task.on(&host.name, vec![Arc::new(start), heartbeat(host)])
        });
    task.then(Order::Settled).on(
        CONTROL_PLANE,
        vec![Arc::new(RestartWorkloads {
            id: plan.restore.id.clone(),
        })],
    )
}

/// Nothing of the restore stays but the data that was set aside.
#[must_use]
pub fn end_restore(site: &Site, plan: &RestorePlan) -> Task {
    Task::new("end")
        .on_each(&names(site.members()), |_| {
            vec![Arc::new(RemoveSnapshot {
                id: plan.restore.id.clone(),
            })]
        })
        .then(all_of(site.core()))
        .on(
            OPERATOR,
            vec![Arc::new(EndRestore {
                note: restore_note(site),
            })],
        )
}

/// A snapshot that shows, on this machine alone, what it holds; none where the bundle has no etcd for it.
#[must_use]
pub fn drill(
    site: &Site,
    snapshot: &SnapshotFile,
    note: Option<BackupNote>,
    drilled: &Slot<Drilled>,
) -> Option<Task> {
    let arch = std::env::consts::ARCH.parse().ok()?;
    let [server, client, tool] =
        ["etcd", "etcdctl", "etcdutl"].map(|name| tools::program(site, name, arch));
    let mut steps = tools::unpack(site, &[arch]);
    steps.push(Arc::new(DrillSnapshot {
        snapshot: snapshot.path.clone(),
        seal: seal(snapshot),
        programs: [server?, client?, tool?],
        scratch: site.tree.state().join("drill"),
        note,
        drilled: drilled.clone(),
    }));
    Some(Task::new("drill").on(OPERATOR, steps))
}
