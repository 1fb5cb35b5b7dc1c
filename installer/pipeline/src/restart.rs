//! Parts of a cluster that are started anew, or whose hosts are.

use engine::{Graph, Order, Plan};
use module::{Draining, Part, Site};

use crate::PipelineError;
use crate::install::{InstallStage, plan};
use crate::retire::added;

/// How it is started anew.
#[derive(Clone, Copy, Debug)]
pub enum Restarting {
    Services,
    /// The hosts themselves.
    Hosts(Draining),
}

/// A part of a cluster on these hosts; on all that have it where none is named. The site must be as it was applied: nothing else
/// is to change.
pub fn restart(
    site: &Site,
    before: &Site,
    part: Part,
    names: &[String],
    how: Restarting,
) -> Result<Graph, PipelineError> {
    let new = added(&before.cluster, &site.cluster)?.into_iter();
    let new: Vec<String> = new
        .map(|name| format!("{name} is new, or has a new role"))
        .collect();
    if !new.is_empty() {
        return Err(PipelineError::Changed(new));
    }
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let all = part.hosts(site);
    let strange: Vec<String> = names
        .iter()
        .filter(|name| !all.contains(name))
        .map(|name| format!("{name} has nothing of it; there are {}", all.join(", ")))
        .collect();
    if !strange.is_empty() {
        return Err(PipelineError::Restart(strange));
    }
    let hosts = if names.is_empty() {
        all
    } else {
        names.to_vec()
    };
    let mut stages = match how {
        Restarting::Services => vec![
            module::ask_restarts(site, part, &hosts),
            module::restart_static_pods(site, part, &hosts),
        ],
        Restarting::Hosts(draining) => module::reboots(site, &hosts, draining),
    };
    let mut rest = plan(site, InstallStage::LAST).into_stages();
    // That the hosts will do is known, but for their clocks.
    rest[0] = module::clocks(site);
    if let Some(first) = rest.first_mut() {
        first.wait(Order::AllHosts);
    }
    stages.append(&mut rest);
    Graph::of(Plan::new("restart", stages)).map_err(PipelineError::Plan)
}
