//! From a living cluster's version to a later one, hop by hop.

mod judge;

use std::time::Duration;

use artifact::Release;
use cluster::Version;
use engine::{Batch, DryState, Graph, Inventory, Order, Plan, Slot, Stage};
use module::{ClusterSeen, Hop, HopDraining, Occasion, Site, Stand};
use tokio_util::sync::CancellationToken;

use crate::PipelineError;
use crate::rotation::insist_on_none;

pub use judge::judge;

/// A stage by its name, and how it is made.
type Named = (&'static str, fn(&Site) -> Stage);

/// A hop, as people read it. Each stage begins when all hosts have ended the one before it well.
const HOP: &[Named] = &[
    ("preflight", module::preflight),
    ("prepare", module::prepare),
    ("snapshot", module::snapshot),
    ("os", module::os),
    ("registry", module::registry),
    ("runtime", module::runtime),
    ("etcd", module::etcd),
    ("load-balancer", module::load_balancer),
    ("images", module::images),
    ("control-plane", module::control_plane),
    ("network", module::network),
    ("workers", module::workers),
    ("node-network", module::node_network),
    ("uncordon", module::uncordon),
    ("proof", |site| module::proof(site, Occasion::Install)),
];

/// A living cluster, as it tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Living {
    /// By master, or why it does not tell.
    pub apiservers: Vec<(String, Result<Version, String>)>,
    pub cluster: ClusterSeen,
}

/// How an upgrade goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The oldest version that an apiserver has.
    pub from: Version,
    pub hops: Vec<(Release, Stand)>,
    /// Nodes that keep their pods.
    pub spared: Vec<String>,
    /// What is to be known before it begins.
    pub remarks: Vec<String>,
}

/// How nodes are emptied.
#[derive(Clone, Copy, Debug)]
pub struct Emptying {
    pub patience: Duration,
    /// How many workers at once.
    pub unavailable: Unavailable,
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
        }),
        None => Err(PipelineError::Unanswered(why(module::CONTROL_PLANE))),
    }
}

/// Looks at the hosts as the first hop does, and does nothing else.
pub fn before_upgrade(site: &Site, way: &Way, emptying: Emptying) -> Result<Graph, PipelineError> {
    let first = way.hops.first().map(|hop| at(site, way, hop, emptying));
    let stages = first.iter().map(module::preflight).collect();
    Graph::of(Plan::new("upgrade", stages)).map_err(PipelineError::Plan)
}

fn at(site: &Site, way: &Way, (release, stand): &(Release, Stand), emptying: Emptying) -> Site {
    let draining = HopDraining {
        patience: emptying.patience,
        batch: emptying.unavailable.batch(),
        spared: way.spared.iter().cloned().collect(),
    };
    let stand = *stand;
    site.at(release, Hop { draining, stand })
}

/// The plan of all hops, one behind the other.
pub fn upgrade(site: &Site, way: &Way, emptying: Emptying) -> Result<Graph, PipelineError> {
    insist_on_none(site)?;
    let unsupported = site.unsupported();
    if !unsupported.is_empty() {
        return Err(PipelineError::Unsupported(unsupported));
    }
    let mut missing = Vec::new();
    let mut plan = Plan::new("upgrade", Vec::new());
    let mut last = None;
    for hop in &way.hops {
        let at = at(site, way, hop, emptying);
        missing.extend(at.missing());
        let (major, minor) = at.release.kubernetes.minor();
        let stages = HOP.iter().map(|(_, of)| {
            let mut stage = of(&at);
            stage.wait(Order::AllHosts);
            stage
        });
        let hop = Plan::new("upgrade", stages.collect());
        plan = plan.then(Plan::within(format!("v{major}.{minor}"), hop));
        last = Some(at);
    }
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    if let Some(last) = &last {
        plan = plan.then(Plan::new("upgrade", vec![module::record(last)]));
    }
    Graph::of(plan).map_err(PipelineError::Plan)
}
