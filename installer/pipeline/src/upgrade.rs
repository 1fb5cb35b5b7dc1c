//! From a living cluster's version to a later one, hop by hop.

mod judge;
mod rollback;
mod scope;

use std::time::Duration;

use artifact::{Release, SpaceNeed};
use cluster::{EtcdType, Version};
use engine::{Batch, DryState, Graph, Inventory, Order, Plan, Slot, Stage};
use module::{
    CertificateSeen, ClusterSeen, EtcdFirst, Hop, HopDraining, MemberSeen, Occasion, Site, Stand,
};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;
use crate::rotation::insist_on_none;

pub use judge::judge;
pub use rollback::{Return, look_back, roll_back, way_back};
pub use scope::Scope;

/// A stage by its name, how it is made, and where it is done if only a part of the cluster is upgraded.
type Named = (&'static str, fn(&Site) -> Stage, Extent);

/// What of a stage is done in an upgrade of a part.
#[derive(Clone, Copy)]
enum Extent {
    /// All of it: it makes ready, and changes nothing that runs.
    All,
    /// What is on hosts of the part.
    Hosts,
    /// All of it with the control plane, and nothing with workers.
    Center,
    /// Nothing: it speaks of the cluster as a whole.
    Whole,
}

/// A hop, as people read it. Each stage begins when all hosts have ended the one before it well.
const HOP: &[Named] = &[
    ("preflight", module::preflight, Extent::All),
    ("uncordon", module::uncordon, Extent::All),
    ("prepare", module::prepare, Extent::All),
    ("snapshot", module::snapshot, Extent::All),
    ("os", module::os, Extent::Hosts),
    ("registry", module::registry, Extent::All),
    ("runtime", module::runtime, Extent::Hosts),
    ("tools", module::tools, Extent::Hosts),
    ("etcd", module::etcd, Extent::Center),
    ("load-balancer", module::load_balancer, Extent::Center),
    ("images", module::images, Extent::All),
    ("etcd-first", module::etcd_first, Extent::Center),
    ("control-plane", module::control_plane, Extent::Center),
    ("network", module::network, Extent::Center),
    ("workers", module::workers, Extent::Hosts),
    ("node-network", module::node_network, Extent::Hosts),
    ("addons", module::addons, Extent::Whole),
    (
        "proof",
        |site| module::proof(site, Occasion::Install),
        Extent::Whole,
    ),
];

/// A living cluster, as it tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Living {
    /// By master, or why it does not tell.
    pub apiservers: Told<Version>,
    pub cluster: ClusterSeen,
    /// By member. Empty where the site's etcd is somebody else's.
    pub etcd: Told<MemberSeen>,
    pub certificates: Told<Vec<CertificateSeen>>,
}

/// What each host tells, or why it does not.
pub type Told<T> = Vec<(String, Result<T, String>)>;

/// How an upgrade goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The oldest version that an apiserver has.
    pub from: Version,
    pub hops: Vec<(Release, Stand)>,
    /// What is upgraded.
    pub scope: Scope,
    /// With this version of Kubernetes comes an etcd that some members are too old for.
    pub etcd_first: Option<(Version, EtcdFirst)>,
    /// Nodes that keep their pods.
    pub spared: Vec<String>,
    /// What is to be known before it begins.
    pub remarks: Vec<String>,
    /// So many bytes the snapshots will take on this machine.
    pub snapshots: u64,
}

/// How nodes are emptied.
#[derive(Clone, Copy, Debug)]
pub struct Emptying {
    pub patience: Duration,
    /// How many workers at once.
    pub unavailable: Unavailable,
    pub held: HeldPods,
}

/// What becomes of a node whose pods a budget holds, when an upgrade begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldPods {
    /// Nothing begins.
    Refuse,
    /// It is drained in its turn, and waited for: some budgets let go when their node is cordoned.
    Wait,
}

/// So many workers may be away at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    Nodes(u16),
    Percent(u8),
}

impl Unavailable {
    const fn batch(self) -> Batch {
        match self {
            Self::Nodes(nodes) => Batch::Hosts(nodes),
            Self::Percent(percent) => Batch::Percent(percent),
        }
    }
}

impl Way {
    /// Where the snapshots go, and what they will take there.
    #[must_use]
    pub fn snapshot_space(&self, site: &Site) -> SpaceNeed {
        SpaceNeed {
            dir: site.tree.backups(),
            need: self.snapshots,
            largest: 0,
        }
    }
}

/// Asks a cluster for all that an upgrade depends on.
pub async fn look(
    site: &Site,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Result<Living, PipelineError> {
    let masters = site.cluster.hosts_in(cluster::Role::Master).into_iter();
    let apiservers: Vec<(String, Slot<String>)> = masters
        .map(|host| (host.name.clone(), Slot::new(&host.name)))
        .collect();
    let seen = Slot::new("the cluster");
    let stage = module::look(site, &seen, &apiservers);
    let graph = Graph::of(Plan::new("look", vec![stage]))?;
    let asked = engine::dry_run(&graph, inventory, jobs, cancel).await;
    let why = |host: &str| {
        let mut of_host = asked.iter().filter(|dry| dry.node.host == host);
        let because = of_host.find_map(|dry| match &dry.state {
            DryState::Unknown { because } => Some(because.clone()),
            DryState::Satisfied | DryState::Needed { .. } => None,
        });
        because.unwrap_or_else(|| "it was not asked".to_owned())
    };
    let version = |(name, slot): &(String, Slot<String>)| {
        let told = match slot.get() {
            Some(text) => judge::version(text).map_err(|_| format!("it calls itself {text}")),
            None => Err(why(name)),
        };
        (name.clone(), told)
    };
    let apiservers: Vec<_> = apiservers.iter().map(version).collect();
    match seen.get() {
        Some(cluster) => Ok(Living {
            apiservers,
            cluster: cluster.clone(),
            etcd: match site.cluster.spec.etcd.kind {
                EtcdType::External => Vec::new(),
                EtcdType::Kubexm | EtcdType::Kubeadm => {
                    crate::etcd::members(site, inventory, jobs, cancel).await?
                }
            },
            certificates: crate::certs::certificates(site, inventory, jobs, cancel).await?,
        }),
        None => Err(PipelineError::Unanswered(why(module::CONTROL_PLANE))),
    }
}

/// Looks at the hosts as each hop will, and does nothing else: what the last one asks of a kernel is told before the first begins.
pub fn before_upgrade(site: &Site, way: &Way, emptying: Emptying) -> Result<Graph, PipelineError> {
    let hops = way.hops.iter().map(|hop| at(site, way, hop, emptying));
    Graph::of(looks(hops)).map_err(PipelineError::Plan)
}

fn looks(hops: impl Iterator<Item = Site>) -> Plan {
    hops.fold(Plan::new("upgrade", Vec::new()), |plan, hop| {
        let mut preflight = module::preflight(&hop);
        preflight.wait(Order::AllHosts);
        let look = Plan::new("upgrade", vec![preflight]);
        let look = Plan::within(name_of(&hop.release), look);
        plan.then(Plan::within("ahead", look))
    })
}

/// `v1.35`
fn name_of(release: &Release) -> String {
    let (major, minor) = release.kubernetes.minor();
    format!("v{major}.{minor}")
}

fn at(site: &Site, way: &Way, (release, stand): &(Release, Stand), emptying: Emptying) -> Site {
    let draining = HopDraining {
        patience: emptying.patience,
        batch: emptying.unavailable.batch(),
        spared: way.spared.iter().cloned().collect(),
    };
    let first = way.etcd_first.as_ref();
    let first = first.filter(|(version, _)| *version == release.kubernetes);
    let hop = Hop {
        draining,
        stand: *stand,
        etcd_first: first.map(|(_, first)| first.clone()),
    };
    site.at(release, hop)
}

/// The plan of all hops, one behind the other.
pub fn upgrade(site: &Site, way: &Way, emptying: Emptying) -> Result<Graph, PipelineError> {
    insist_on_none(site)?;
    let mut missing = Vec::new();
    // What a later hop asks of a host is told before the first begins.
    let later = way.hops.iter().skip(1);
    let mut plan = looks(later.map(|hop| at(site, way, hop, emptying)));
    let mut last = None;
    for hop in &way.hops {
        let at = at(site, way, hop, emptying);
        missing.extend(at.missing());
        let stages = HOP.iter().filter_map(|(_, of, extent)| {
            let mut stage = way.scope.narrowed(&site.cluster, of(&at), *extent)?;
            stage.wait(Order::AllHosts);
            Some(stage)
        });
        let hop = Plan::new("upgrade", stages.collect());
        plan = plan.then(Plan::within(name_of(&at.release), hop));
        last = Some(at);
    }
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    // What was applied is what all hosts have.
    if let Some(last) = &last
        && way.scope == Scope::Whole
    {
        plan = plan.then(Plan::new("upgrade", vec![module::record(last)]));
    }
    Graph::of(plan).map_err(PipelineError::Plan)
}
