//! The stages of a pipeline: which tasks, in which order.

use std::time::Duration;

use engine::{Data, Order, Retry, Slot, Stage, Task};
pub use task::{
    Activity, CONTROL_PLANE, Carried, HostSeen, NodeSeen, OPERATOR, RegistryCredentials, Site,
    api_answers,
};

/// Everything that is wrong is found and told before anything is touched.
#[must_use]
pub fn preflight(site: &Site) -> Stage {
    Stage::new("preflight", vec![task::survey(site)])
}

/// Before anything is taken away: whose each host is. A host that is down keeps no other waiting.
#[must_use]
pub fn recognise(site: &Site, data: Data) -> Stage {
    Stage::new("recognise", vec![task::recognise(site, data)])
}

/// What the operator's machine makes ready for the hosts: programs out of their archives, certificates, credentials.
#[must_use]
pub fn prepare(site: &Site) -> Stage {
    Stage::new(
        "prepare",
        vec![
            task::unpack(site),
            task::registry_pki(site),
            task::etcd_pki(site),
            task::kube_pki(site),
            task::kube_vip_pki(site),
        ],
    )
}

/// The hosts' systems. Begins when preflight has found nothing; a host that is down keeps no other waiting.
#[must_use]
pub fn os(site: &Site) -> Stage {
    Stage::new(
        "os",
        vec![
            task::host_files(site),
            task::packages(site),
            task::kernel(site),
            task::time(site),
        ],
    )
    .after(Order::Host(OPERATOR.to_owned()))
}

/// The site's registry with every image of the bundle. Empty where the config names no registry host.
#[must_use]
pub fn registry(site: &Site) -> Stage {
    Stage::new(
        "registry",
        vec![task::registry_service(site), task::push_images(site)],
    )
    .after(Order::Host(OPERATOR.to_owned()))
}

/// The container runtime of every node, with no way to pull from anywhere but the site's registry; where there is none,
/// with every image of the bundle.
#[must_use]
pub fn runtime(site: &Site) -> Stage {
    Stage::new(
        "runtime",
        vec![
            task::pod_network(site),
            task::containerd(site),
            task::import_images(site),
        ],
    )
}

/// The cluster's store.
#[must_use]
pub fn etcd(site: &Site) -> Stage {
    Stage::new("etcd", vec![task::etcd_members(site)])
}

/// The network plugin, as far as it is one thing for the whole cluster: nodes that join later find it there.
#[must_use]
pub fn network(site: &Site) -> Stage {
    Stage::new("network", vec![task::network_plugin(site)])
}

/// The pods' network on each node. Behind the workers: what it is on one node depends on which others there are. Then the
/// system's pods run what the bundle has.
#[must_use]
pub fn node_network(site: &Site) -> Stage {
    Stage::new(
        "node network",
        vec![task::node_network(site), task::roll_pods(site)],
    )
}

/// The apiservers and those who act through them, one master after the other, and the masters as nodes: by kubeadm or
/// from plain binaries. Then DNS.
#[must_use]
pub fn control_plane(site: &Site) -> Stage {
    Stage::new(
        "control plane",
        vec![
            task::control_plane_files(site),
            task::control_plane_services(site),
            task::cluster_roles(site),
            task::master_nodes(site),
            task::kubeadm_masters(site),
            task::kube_vip(site),
            task::kube_vip_role(site),
            task::renew_certificates(site),
            // Where a change has brought something down on a master, no worker is touched.
            task::cluster_dns(site).after(Order::Rolled),
        ],
    )
    .after(task::after_etcd(site))
}

/// The workers as nodes.
#[must_use]
pub fn workers(site: &Site) -> Stage {
    Stage::new(
        "workers",
        vec![
            task::internal_balancer(site),
            task::worker_nodes(site),
            task::kubeadm_workers(site),
            task::node_marks(site),
            task::reach_endpoint(site),
        ],
    )
    .after(task::after_control_plane())
}

/// What is in front of the masters on hosts of its own. Empty where kubexm sets up none.
#[must_use]
pub fn load_balancer(site: &Site) -> Stage {
    Stage::new(
        "load balancer",
        vec![
            task::load_balancer(site),
            task::prove_virtual_addresses(site),
        ],
    )
}

/// Every node can pull what the site's registry holds, and nothing else.
#[must_use]
pub fn images(site: &Site) -> Stage {
    Stage::new("images", vec![task::prove_images(site)])
}

/// On what occasion a cluster is to prove itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody asks. It should be well by now, and all is asked.
    Check,
    /// It has just been set up, and may take its time to settle. What takes long to prove is not asked again before
    /// something changes.
    Install,
}

impl Occasion {
    const fn patience(self) -> Retry {
        Retry {
            attempts: match self {
                Self::Check => 3,
                Self::Install => 30,
            },
            first_delay: Duration::from_secs(1),
        }
    }
}

/// All that must hold of a cluster, once it is whole. No proof waits for another, and none leaves anything behind.
#[must_use]
pub fn proof(site: &Site, occasion: Occasion) -> Stage {
    let patience = occasion.patience();
    let mut tasks = vec![
        task::prove_apiservers(site, patience),
        task::prove_etcd(site, patience),
        task::prove_cluster(site, patience),
        task::prove_hosts(site),
    ];
    // An install has looked at all of it before and after it pushed.
    if occasion == Occasion::Check {
        tasks.push(task::prove_registry(site, patience));
    }
    tasks.extend([
        of(occasion, task::prove_time(site, patience)),
        of(occasion, task::prove_network(site, patience)),
    ]);
    Stage::new("proof", tasks).after(Order::AllHosts)
}

/// When all else went well: what was applied is noted.
#[must_use]
pub fn record(site: &Site) -> Stage {
    Stage::new("record", vec![task::note_applied(site)]).after(Order::AllHosts)
}

/// A proof that takes its time: pods come and go, and clocks find a source when their servers answer.
fn of(occasion: Occasion, slow: Task) -> Task {
    match occasion {
        Occasion::Check => slow,
        Occasion::Install => slow.after_changes(),
    }
}

/// The nodes as the cluster has them.
#[must_use]
pub fn nodes(seen: Slot<Vec<NodeSeen>>) -> Stage {
    Stage::new("nodes", vec![task::look_at_nodes(seen)])
}

/// The hosts as they are.
#[must_use]
pub fn hosts(hosts: &[(String, Slot<HostSeen>)]) -> Stage {
    Stage::new("hosts", vec![task::look_at_hosts(hosts)])
}

/// Whether a work directory can be made from the hosts of its cluster.
#[must_use]
pub fn recognise_authorities(site: &Site) -> Stage {
    Stage::new("look", vec![task::look_at_authorities(site)])
}

/// What is fetched from the hosts: what others have lain there, as a plan tells, and what they hold in a form of their own.
#[must_use]
pub fn fetch(site: &Site, mut origins: Vec<Task>) -> Stage {
    origins.push(task::fetch_logins(site));
    Stage::new("fetch", origins).after(Order::Host(OPERATOR.to_owned()))
}

/// What is made from that on the operator's machine, and what can be made again without any host.
#[must_use]
pub fn restore(site: &Site, origins: Vec<Task>) -> Stage {
    let mut tasks = vec![task::note_found(site)];
    tasks.extend(origins);
    tasks.extend([
        task::registry_pki(site),
        task::etcd_pki(site),
        task::kube_pki(site),
        task::kube_vip_pki(site),
    ]);
    Stage::new("restore", tasks).after(Order::Settled)
}

/// What holds the addresses and ports of the apiservers' endpoint: nobody else can, as long as it does.
#[must_use]
pub fn virtual_addresses(site: &Site) -> Stage {
    Stage::new(
        "load balancer",
        vec![
            task::load_balancer(site),
            task::kube_vip(site),
            task::internal_balancer(site),
        ],
    )
}
