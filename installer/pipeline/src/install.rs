use engine::{Graph, Order, Plan, Stage};
use module::{Occasion, Site};

use crate::PipelineError;
use crate::retire::{self, Retired, retired};
use crate::runtime::{former_runtimes, insist_on_runtime};

/// A stage by its name, and how it is made.
type Named = (&'static str, fn(&Site) -> Stage);

/// An install, as people read it: its stages in their order, by the names that they have on a command line.
const STAGES: &[Named] = &[
    ("preflight", module::preflight),
    ("prepare", module::prepare),
    ("os", module::os),
    ("registry", module::registry),
    ("runtime", module::runtime),
    ("tools", module::tools),
    ("etcd", module::etcd),
    ("load-balancer", module::load_balancer),
    ("images", module::images),
    ("control-plane", module::control_plane),
    ("network", module::network),
    ("workers", module::workers),
    ("node-network", module::node_network),
    ("addons", module::addons),
    ("proof", |site| module::proof(site, Occasion::Install)),
    ("record", module::record),
];

/// What holds the addresses that its predecessor has held.
const LOAD_BALANCER: &str = "load-balancer";
/// The stage with which a cluster is whole.
const PROOF: InstallStage = InstallStage(STAGES.len() - 2);

/// One of the stages of an install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstallStage(usize);

impl InstallStage {
    pub const LAST: Self = Self(STAGES.len() - 1);
    /// Looks, and changes nothing.
    pub const PREFLIGHT: Self = Self(0);

    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..STAGES.len()).map(Self)
    }

    /// As it is called on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        STAGES[self.0].0
    }

    /// The stage that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|stage| stage.name() == name)
    }
}

/// From bare hosts to a cluster that has proven that it works; or only so far. `before` is the site as it was applied last:
/// what it has and this one asks for no more goes as well, as far as it can.
pub fn install(
    site: &Site,
    before: Option<&Site>,
    until: InstallStage,
) -> Result<Graph, PipelineError> {
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    if let Some(before) = before {
        insist_on_runtime(before, site)?;
    }
    let mut retired = match before.filter(|_| PROOF <= until) {
        None => Retired::default(),
        Some(before) => {
            let refusals = retire::refusals(&before.cluster, &site.cluster);
            if !refusals.is_empty() {
                return Err(PipelineError::Retired(refusals));
            }
            retired(before, site)
        }
    };
    let mut stages = Vec::new();
    for (name, of) in &STAGES[..=until.0] {
        let mut stage = of(site);
        if *name == LOAD_BALANCER && !retired.first.is_empty() {
            stages.append(&mut retired.first);
            stage.wait(Order::Settled);
        }
        if *name == STAGES[PROOF.0].0 {
            // Ahead of what its pods have of their nodes, such as packages.
            stages.extend(before.map(|before| module::former_addons(before, site)));
            stages.append(&mut retired.last);
            stages.extend(former_runtimes(site));
        }
        stages.push(stage);
    }
    Graph::of(Plan::new("install", stages)).map_err(PipelineError::Plan)
}

/// The stages in their order. `delete` is the same list backwards.
pub(crate) fn plan(site: &Site, until: InstallStage) -> Plan {
    let wanted = STAGES[..=until.0].iter().map(|(_, of)| of(site));
    Plan::new("install", wanted.collect())
}
