//! A control plane from plain binaries: its files, its services one master at a time, and its first grants.

pub(crate) mod arguments;
pub(crate) mod pki;
mod renewal;

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use cluster::{EtcdType, Host, KubernetesType};
use engine::{Batch, Order, Rolling, Step, Task, Turn};
use step::{
    ApplyManifest, Content, GrantAdministrators, Health, KeyPairFiles, RunService, WaitReady,
};
use templates::{
    ApiserverUnit, Arguments, ClusterAdmins, ClusterRoles, ControllerManagerUnit, SchedulerUnit,
};

use crate::check::CONTROL_PLANE;
use crate::control_plane::pki::{CA, FRONT_PROXY_CA};
use crate::etcd::majority;
use crate::files::{directory, key_pair, upload};
use crate::kube::{KUBERNETES, PKI};
use crate::os::rendered;
use crate::rotation::signing_file;
use crate::site::names;
use crate::{Site, programs};

pub use pki::kube_pki;
pub use renewal::renew_certificates;

/// The ports where the components answer on their own hosts, the apiserver's aside, which the config has.
const CONTROLLER_MANAGER_PORT: u16 = 10257;
const SCHEDULER_PORT: u16 = 10259;

/// What a master has of the operator's certificates, each with its key.
const PAIRS: &[&str] = &[
    CA,
    "apiserver",
    "apiserver-kubelet-client",
    "front-proxy-client",
];
/// What the files are called that components read. They may be told to write others, such as logs.
const READ: &[&str] = &["conf", "crt", "key", "pub", "yaml"];

/// One component of the control plane on one master.
struct Service {
    name: &'static str,
    unit: &'static str,
    text: String,
    /// What it reads beside its unit and its program.
    reads: Vec<String>,
    server: String,
    health: Health,
}

fn services(site: &Site, host: &Host) -> [Service; 3] {
    let apiserver = arguments::apiserver(site, host);
    let controller_manager = arguments::controller_manager(site);
    let scheduler = arguments::scheduler(site);
    let port = site.cluster.spec.control_plane_endpoint.port;
    [
        Service {
            name: "kube-apiserver",
            unit: "kube-apiserver.service",
            reads: files_in(&apiserver),
            server: arguments::local_url(&apiserver, port),
            text: rendered(&ApiserverUnit {
                arguments: apiserver,
            }),
            health: Health::Apiserver,
        },
        Service {
            name: "kube-controller-manager",
            unit: "kube-controller-manager.service",
            reads: files_in(&controller_manager),
            server: arguments::local_url(&controller_manager, CONTROLLER_MANAGER_PORT),
            text: rendered(&ControllerManagerUnit {
                arguments: controller_manager,
            }),
            health: Health::Other,
        },
        Service {
            name: "kube-scheduler",
            unit: "kube-scheduler.service",
            reads: files_in(&scheduler),
            server: arguments::local_url(&scheduler, SCHEDULER_PORT),
            text: rendered(&SchedulerUnit {
                arguments: scheduler,
            }),
            health: Health::Other,
        },
    ]
}

/// The files of Kubernetes that arguments name: what a service must be started anew for when it changes.
fn files_in(arguments: &Arguments) -> Vec<String> {
    let below = format!("{KUBERNETES}/");
    let is_read = |value: &&str| {
        let suffix = Utf8Path::new(value).extension();
        value.starts_with(&below) && suffix.is_some_and(|suffix| READ.contains(&suffix))
    };
    let values = arguments.iter().map(|(_, value)| value);
    let mut files: Vec<String> = values.filter(is_read).map(str::to_owned).collect();
    files.sort_unstable();
    files.dedup();
    files
}

impl Service {
    fn unit_file(&self) -> Utf8PathBuf {
        format!("/etc/systemd/system/{}", self.unit).into()
    }

    fn files(&self, site: &Site) -> [Arc<dyn Step>; 2] {
        [
            programs::install(site, self.name, "/usr/local/bin"),
            upload(self.unit_file(), Content::Text(self.text.clone()), 0o644),
        ]
    }

    /// With what only this component needs, and these files of all.
    fn turn(self, site: &Site, shared: Vec<Arc<dyn Step>>) -> Turn {
        let files = shared.into_iter().chain(self.files(site)).collect();
        self.restart().with(files)
    }

    /// With what is on its host.
    fn restart(self) -> Turn {
        let program = format!("/usr/local/bin/{}", self.name).into();
        let others = self.reads.iter().map(Utf8PathBuf::from);
        let reads = [self.unit_file(), program].into_iter().chain(others);
        let run = RunService {
            unit: self.unit,
            reads: reads.collect(),
        };
        let answers = WaitReady {
            unit: self.unit,
            server: self.server,
            health: self.health,
        };
        Turn::new(Arc::new(run)).then(Arc::new(answers))
    }
}

/// All of a master's certificates, from plain binaries.
pub(crate) fn master_certificates(site: &Site) -> Vec<Arc<dyn Step>> {
    pki(site)
}

/// Waits until the apiserver of this master is ready, past every balancer.
pub(crate) fn apiserver_is_ready(site: &Site, host: &Host) -> Arc<dyn Step> {
    let [apiserver, ..] = services(site, host);
    Arc::new(WaitReady {
        unit: apiserver.unit,
        server: apiserver.server,
        health: apiserver.health,
    })
}

/// The masters, where their control plane is from plain binaries.
fn masters(site: &Site) -> Vec<&Host> {
    match site.cluster.spec.kubernetes.kind {
        KubernetesType::Kubexm => site.masters(),
        KubernetesType::Kubeadm => Vec::new(),
    }
}

/// What a master has before any component of the control plane, and that none of them reads.
#[must_use]
pub fn control_plane_files(site: &Site) -> Task {
    let task = Task::new("control plane files");
    task.on_each(&names(masters(site)), |_| {
        vec![
            Arc::new(site.foundation()),
            directory(KUBERNETES),
            directory(PKI),
            programs::install(site, "kubectl", "/usr/local/bin"),
        ]
    })
}

/// Certificates and keys of Kubernetes itself, and the kubeconfigs of those who call the apiservers from a master.
fn pki(site: &Site) -> Vec<Arc<dyn Step>> {
    let mut steps: Vec<Arc<dyn Step>> = PAIRS
        .iter()
        .map(|name| key_pair(site.kubernetes_files(name), name))
        .collect();
    steps.push(signing_file(site));
    let front_proxy = site.kubernetes_files(FRONT_PROXY_CA).certificate();
    let accounts = site.service_account_key();
    for (name, from, mode) in [
        ("front-proxy-ca.crt", front_proxy, 0o644),
        ("sa.pub", accounts.public(), 0o644),
        ("sa.key", accounts.key(), 0o600),
    ] {
        steps.push(upload(format!("{PKI}/{name}"), Content::Local(from), mode));
    }
    let mut kubeconfigs = vec!["admin", "controller-manager", "scheduler"];
    if site.traits().cluster_admins_group {
        kubeconfigs.push("super-admin");
    }
    for name in kubeconfigs {
        let to = format!("{KUBERNETES}/{name}.conf");
        steps.push(upload(to, Content::Local(site.kubeconfig(name)), 0o600));
    }
    steps
}

/// With what an apiserver enters the store.
pub(crate) fn etcd_client(site: &Site) -> Vec<Arc<dyn Step>> {
    let etcd = &site.cluster.spec.etcd;
    let external = etcd.external.as_ref();
    let external = external.filter(|_| etcd.kind == EtcdType::External);
    let authority = |from: Utf8PathBuf| {
        let to = format!("{PKI}/etcd/ca.crt");
        [
            directory(format!("{PKI}/etcd")),
            upload(to, Content::Local(from), 0o644),
        ]
    };
    let mut steps = Vec::new();
    let Some(external) = external else {
        let files = |name: &str| KeyPairFiles::at(site.tree.certs("etcd").join(name));
        steps.extend(authority(files("ca").certificate()));
        steps.push(key_pair(
            files("apiserver-etcd-client"),
            "apiserver-etcd-client",
        ));
        return steps;
    };
    if let Some(from) = &external.ca_file {
        steps.extend(authority(from.clone()));
    }
    if let (Some(certificate), Some(key)) = (&external.cert_file, &external.key_file) {
        for (from, suffix, mode) in [(certificate, "crt", 0o644), (key, "key", 0o600)] {
            let to = format!("{PKI}/apiserver-etcd-client.{suffix}");
            steps.push(upload(to, Content::Local(from.clone()), mode));
        }
    }
    steps
}

/// The services of the masters, one component after the other, and each on one master at a time: what is wrong with it
/// keeps the others going as they are. The first apiserver of a cluster writes what all of them need.
#[must_use]
pub fn control_plane_services(site: &Site) -> Task {
    let mut rolls = vec![
        Rolling::one_by_one(),
        Rolling::new(Batch::One),
        Rolling::new(Batch::One),
    ];
    for host in masters(site) {
        let with_files = rolls.into_iter().zip(services(site, host));
        rolls = with_files
            .map(|(roll, service)| {
                let shared = match service.health {
                    // What all of them read comes with the first that is touched.
                    Health::Apiserver => [pki(site), etcd_client(site)].concat(),
                    Health::Other => Vec::new(),
                };
                roll.on(&host.name, service.turn(site, shared))
            })
            .collect();
    }
    let task = Task::new("control plane services");
    // Who acts through the apiservers may be no newer than any of them.
    let after = || {
        site.hop
            .as_ref()
            .map_or(Order::SameHost, |_| Order::AllHosts)
    };
    rolls
        .into_iter()
        .fold(task, |task, roll| task.then(after()).roll(roll))
}

/// The same services with the programs and units that they have, where what they read is another.
pub(crate) fn restart_services(site: &Site) -> Task {
    let mut rolls = Vec::from([Batch::One; 3].map(Rolling::new));
    for host in masters(site) {
        let with_hosts = rolls.into_iter().zip(services(site, host));
        rolls = with_hosts
            .map(|(roll, service)| roll.on(&host.name, service.restart()))
            .collect();
    }
    let task = Task::new("control plane");
    rolls.into_iter().fold(task, Task::roll)
}

/// What has to be there before an apiserver can start: the store, which the majority of its members has proven healthy.
#[must_use]
pub fn after_etcd(site: &Site) -> Order {
    majority(&site.etcd_hosts())
}

/// What has to be there before a node can come into the cluster: its control plane, on whichever master.
#[must_use]
pub fn after_control_plane() -> Order {
    Order::Host(CONTROL_PLANE.to_owned())
}

/// What is done once for the whole cluster, on a master that runs it.
pub(crate) fn once(site: &Site, task: Task, steps: Vec<Arc<dyn Step>>) -> Task {
    let masters = Order::Enough {
        of: names(site.masters()),
        needed: 1,
    };
    task.then(masters).on(CONTROL_PLANE, steps)
}

/// Who may do what, beside what every apiserver grants by itself.
#[must_use]
pub fn cluster_roles(site: &Site) -> Task {
    let task = Task::new("roles");
    if masters(site).is_empty() {
        return task;
    }
    let mut steps: Vec<Arc<dyn Step>> = Vec::new();
    if site.traits().cluster_admins_group {
        steps.push(Arc::new(GrantAdministrators {
            manifest: rendered(&ClusterAdmins {}),
        }));
    }
    steps.push(Arc::new(ApplyManifest {
        name: "roles".to_owned(),
        content: Content::Text(rendered(&ClusterRoles {})),
    }));
    once(site, task, steps)
}
