mod alerts;
mod care;
mod keys;
mod pki;
mod restart;
mod restore;
mod schedule;
mod tools;

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8PathBuf;
use cluster::{Cluster, EtcdType, Host, MetricsListen, Role};
use engine::{Order, Rolling, Slot, Step, Task, Turn};

use step::{
    Content, CreateUser, DataDirectory, EnterEtcd, Entry, EtcdCluster, EtcdPeer, EtcdRuns,
    EtcdTrace, FileAttrs, HealthyMembers, KeepEtcdAuthority, LookAtEtcd, MakeDirectory,
    NoteEtcdFounded, Owner, PromoteEtcdMember, RemoveDamagedMember, RemoveEtcdMember, RunEtcd,
    RunService, SetAsideRemoved, SpareEtcd, StartEtcd, Stopped, UploadFile, VerifyEtcd,
};
use templates::{
    BootstrapState, CorruptionCheck, EtcdBootstrap, EtcdEnvironment, EtcdUnit, MetricsReach,
};

use crate::files::text;
use crate::os::rendered;
use crate::site::{minor, names, url_address};
use crate::{Site, programs};

pub use alerts::etcd_alerts;
pub use care::{ETCD, back_up, binding_files, defragment, disarm_alarms, look_at_members};
pub use keys::{keys_of, seal_keys};
pub use pki::etcd_pki;
use pki::{AUTHORITY, files, owner};
pub(crate) use pki::{PKI, authority_file, member_pairs};
pub(crate) use restart::restarts;
pub use restore::{
    RestorePlan, core_of, drill, end_restore, halt, prepare_restore, restore_note, revisions,
    start_control_plane, start_members, start_nodes, swap,
};

pub use schedule::{backups_of_pods, backups_of_services};

const USER: &str = "etcd";
const UNIT: &str = "etcd.service";
const UNIT_FILE: &str = "/etc/systemd/system/etcd.service";
const DIR: &str = "/etc/etcd";
const ENVIRONMENT: &str = "/etc/etcd/etcd.env";
const BOOTSTRAP: &str = "/etc/etcd/bootstrap.env";

/// A member that cannot read its data ends at once; one that lacks what it had promised ends when the leader reaches it.
const VERDICT: Duration = Duration::from_secs(30);

/// The hosts that a member runs on, whoever has set it up.
fn members_of(cluster: &Cluster) -> Vec<&Host> {
    match cluster.spec.etcd.kind {
        EtcdType::Kubexm => cluster.hosts_in(Role::Etcd),
        EtcdType::Kubeadm => cluster.hosts_in(Role::Master),
        EtcdType::External => Vec::new(),
    }
}

/// The store of a cluster as its members' hosts are asked for it; and these hosts.
#[must_use]
pub fn etcd_of(cluster: &Cluster) -> (EtcdCluster, Vec<&Host>) {
    let runs = match cluster.spec.etcd.kind {
        EtcdType::Kubexm | EtcdType::External => EtcdRuns::Service {
            pki: PKI.to_owned(),
        },
        EtcdType::Kubeadm => EtcdRuns::StaticPod,
    };
    let hosts = members_of(cluster);
    let peers = hosts.iter().map(|host| Site::peer(host)).collect();
    (EtcdCluster { peers, runs }, hosts)
}

impl Site {
    /// The hosts that a member runs on, whoever has set it up.
    #[must_use]
    pub fn members(&self) -> Vec<&Host> {
        members_of(&self.cluster)
    }

    pub(crate) fn etcd(&self) -> EtcdCluster {
        etcd_of(&self.cluster).0
    }
}

/// Everything of a member on its host but the running service.
fn member_files(site: &Site, host: &Host) -> Vec<Arc<dyn Step>> {
    let root_etcd = || Owner {
        user: "root".to_owned(),
        group: USER.to_owned(),
    };
    let directory = |path: Utf8PathBuf, attrs: FileAttrs| -> Arc<dyn Step> {
        Arc::new(MakeDirectory { path, attrs })
    };
    let mut steps: Vec<Arc<dyn Step>> = vec![
        Arc::new(CreateUser { name: USER }),
        programs::install(site, "etcd", "/usr/local/bin"),
        directory(DIR.into(), FileAttrs::root(0o755)),
        directory(
            PKI.into(),
            FileAttrs {
                mode: 0o750,
                owner: root_etcd(),
            },
        ),
        Arc::new(DataDirectory {
            path: site.cluster.spec.etcd.data_dir.clone(),
            attrs: FileAttrs {
                mode: 0o700,
                owner: owner(),
            },
        }),
    ];
    steps.extend(member_pairs(site, host));
    steps.push(authority_file(site));
    steps.push(text(ENVIRONMENT, environment(site, host)));
    steps.push(text(UNIT_FILE, unit(site)));
    steps
}

fn environment(site: &Site, host: &Host) -> String {
    let etcd = &site.cluster.spec.etcd;
    rendered(&EtcdEnvironment {
        name: host.name.clone(),
        address: url_address(host),
        data_dir: etcd.data_dir.to_string(),
        pki_dir: PKI.to_owned(),
        heartbeat_ms: etcd.heartbeat_interval,
        election_ms: etcd.election_timeout,
        snapshot_count: etcd.snapshot_count,
        compaction_hours: etcd.auto_compaction_retention,
        quota_bytes: etcd.quota_backend_bytes,
        max_request_bytes: etcd.max_request_bytes,
        max_snapshots: etcd.max_snapshots,
        max_wals: etcd.max_wals,
        metrics: etcd.metrics.name().to_owned(),
        metrics_reach: match etcd.metrics_listen {
            MetricsListen::Host => MetricsReach::Host,
            MetricsListen::Network => MetricsReach::Network,
        },
        log_level: etcd.log_level.name().to_owned(),
        corruption_check: corruption_check(site.release.version_of("etcd").unwrap_or_default()),
    })
}

fn unit(site: &Site) -> String {
    rendered(&EtcdUnit {
        data_dir: site.cluster.spec.etcd.data_dir.to_string(),
    })
}

/// First all hosts are looked at, and members that are stopped are set going together. Then the members take turns: the
/// first founds the cluster if there can be no other, the others join as learners and are promoted, one that must be
/// restarted waits for the others to be healthy; so quorum is never at risk. At last all are told that their cluster
/// exists, and etcd proves that it serves: by its majority, or by all members where it was founded just now.
///
/// Every member goes the same way, and a host that is down keeps the others from nothing that is safe without it; one
/// that was touched and does not come up keeps all others as they are.
#[must_use]
pub fn etcd_members(site: &Site) -> Task {
    let task = Task::new("etcd members");
    let hosts = site.etcd_hosts();
    let Some(founder) = hosts.first() else {
        return task;
    };
    let members = Members {
        site,
        cluster: site.etcd(),
        founder: &founder.name,
        traces: hosts
            .iter()
            .map(|host| (host.name.clone(), Slot::new(&host.name)))
            .collect(),
        founded: Slot::new("the founding of etcd"),
    };
    let mut task = task;
    for (host, trace) in &members.traces {
        task = task.on(host, members.look(trace));
    }
    let turns = hosts.iter().fold(Rolling::one_by_one(), |rolling, host| {
        rolling.on(&host.name, members.turn(host))
    });
    task.then(Order::Settled)
        .roll(turns)
        .then(majority(&hosts))
        .on_each(&names(hosts.iter().copied()), |_| {
            let verify = VerifyEtcd {
                cluster: members.cluster.clone(),
                wanted: HealthyMembers::Majority(members.founded.clone()),
            };
            vec![members.assembled(), Arc::new(verify)]
        })
}

/// The store serves as long as the majority of its members does.
pub(crate) fn majority(hosts: &[&Host]) -> Order {
    Order::Enough {
        of: names(hosts.iter().copied()),
        needed: hosts.len() / 2 + 1,
    }
}

/// What the steps of all members have in common.
struct Members<'a> {
    site: &'a Site,
    cluster: EtcdCluster,
    founder: &'a str,
    traces: Vec<(String, Slot<EtcdTrace>)>,
    founded: Slot<()>,
}

impl Members<'_> {
    fn data_dir(&self) -> Utf8PathBuf {
        self.site.cluster.spec.etcd.data_dir.clone()
    }

    fn token(&self) -> String {
        self.site.cluster.name().to_owned()
    }

    fn look(&self, trace: &Slot<EtcdTrace>) -> Vec<Arc<dyn Step>> {
        vec![
            Arc::new(KeepEtcdAuthority {
                local: files(self.site, "ca").certificate(),
                path: AUTHORITY.into(),
                data_dir: self.data_dir(),
            }),
            Arc::new(LookAtEtcd {
                cluster: self.cluster.clone(),
                bootstrap: BOOTSTRAP.into(),
                data_dir: self.data_dir(),
                trace: trace.clone(),
            }),
            self.start(Stopped::Left),
        ]
    }

    fn start(&self, member: Stopped) -> Arc<dyn Step> {
        Arc::new(StartEtcd {
            member,
            service: service(),
            bootstrap: BOOTSTRAP.into(),
            data_dir: self.data_dir(),
        })
    }

    fn turn(&self, host: &Host) -> Turn {
        let me = Site::peer(host);
        let note = self.site.tree.certs("etcd").join("founded");
        let entry = if host.name == self.founder {
            let others = self.traces.iter().filter(|(name, _)| *name != host.name);
            Entry::Founder {
                traces: others.cloned().collect(),
                note: note.clone(),
            }
        } else {
            Entry::Joiner {
                founder: self.founder.to_owned(),
            }
        };
        let enter = EnterEtcd {
            me: me.clone(),
            cluster: self.cluster.clone(),
            entry,
            token: self.token(),
            bootstrap: BOOTSTRAP.into(),
            data_dir: self.data_dir(),
            settled: Slot::new("the way into etcd"),
            founded: self.founded.clone(),
        };
        let spare = SpareEtcd {
            service: service(),
            me: me.clone(),
            cluster: self.cluster.clone(),
        };
        let run = RunEtcd {
            service: service(),
            me: me.clone(),
            cluster: self.cluster.clone(),
        };
        let promote = PromoteEtcdMember {
            me: me.clone(),
            cluster: self.cluster.clone(),
        };
        // Members that were taken off their hosts, and left their data there, come up together as well.
        let mut files = member_files(self.site, host);
        // The only member has nobody who could have taken it out.
        if self.cluster.peers.len() > 1 {
            let mut cluster = self.cluster.clone();
            cluster.peers.retain(|peer| *peer != me);
            files.push(Arc::new(RemoveDamagedMember {
                service: service(),
                bootstrap: BOOTSTRAP.into(),
                data_dir: self.data_dir(),
                patience: VERDICT,
                remove: RemoveEtcdMember {
                    member: me.clone(),
                    cluster,
                },
            }));
            files.push(Arc::new(SetAsideRemoved {
                me: me.clone(),
                cluster: self.cluster.clone(),
                service: service(),
                bootstrap: BOOTSTRAP.into(),
                data_dir: self.data_dir(),
            }));
        }
        files.push(self.start(Stopped::SetUp));
        Turn::new(Arc::new(enter))
            .before(vec![Arc::new(spare)])
            .with(files)
            .then(Arc::new(run))
            .then(Arc::new(NoteEtcdFounded { note }))
            .then(Arc::new(promote))
    }

    fn assembled(&self) -> Arc<dyn Step> {
        let text = rendered(&EtcdBootstrap {
            state: BootstrapState::Existing,
            token: self.token(),
            members: self.cluster.peers.iter().map(EtcdPeer::initial).collect(),
        });
        Arc::new(UploadFile {
            path: BOOTSTRAP.into(),
            content: Content::Text(text),
            attrs: FileAttrs {
                mode: 0o640,
                owner: Owner {
                    user: "root".to_owned(),
                    group: USER.to_owned(),
                },
            },
        })
    }
}

pub(crate) fn service() -> RunService {
    let reads = [ENVIRONMENT, UNIT_FILE, AUTHORITY, "/usr/local/bin/etcd"].map(Utf8PathBuf::from);
    RunService {
        unit: UNIT,
        reads: reads.into(),
    }
}

/// How this etcd spells its start-up corruption check.
fn corruption_check(version: &str) -> CorruptionCheck {
    if minor(version) >= (3, 6) {
        CorruptionCheck::FeatureGate
    } else {
        CorruptionCheck::Experimental
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corruption_check_changes_its_name_with_3_6() {
        assert_eq!(corruption_check("v3.5.30"), CorruptionCheck::Experimental);
        assert_eq!(corruption_check("3.6.0"), CorruptionCheck::FeatureGate);
        assert_eq!(corruption_check("v3.10.1"), CorruptionCheck::FeatureGate);
    }
}
