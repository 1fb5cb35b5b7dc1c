//! What a changed config makes of the nodes' runtime.

use engine::{Data, Order, Stage};
use module::{ReplacedRuntime, RuntimeChange, Site};

use crate::PipelineError;

/// Another runtime comes only where somebody has said so: every pod of every node is made anew.
pub(crate) fn insist_on_runtime(before: &Site, now: &Site) -> Result<(), PipelineError> {
    match ReplacedRuntime::of(before, now) {
        Some(ReplacedRuntime { from, to })
            if from.name != to.name && now.runtime_change == RuntimeChange::Refused =>
        {
            Err(PipelineError::OtherRuntime {
                from: from.name,
                to: to.name,
            })
        }
        Some(_) | None => Ok(()),
    }
}

/// The stage that removes what runtimes of before have left, where there may be any.
pub(crate) fn former_runtimes(site: &Site) -> Option<Stage> {
    let asked = site.runtime_change == RuntimeChange::Wanted || site.former_data == Data::Purge;
    asked.then(|| module::former_runtimes(site).after(Order::AllHosts))
}

/// What is to be known before containers end with their runtime; none where they run on.
#[must_use]
pub fn told_of_runtime(before: &Site, now: &Site) -> Option<String> {
    let ReplacedRuntime { from, to } = ReplacedRuntime::of(before, now)?;
    let from = format!("{} {}", from.name, from.version);
    let to = format!("{} {}", to.name, to.version);
    let change = if from == to {
        format!("the data of {to} moves")
    } else {
        format!("{from} gives way to {to}, which does not take over its containers")
    };
    Some(format!(
        "{change}: node by node, pods go elsewhere first, and those that no drain takes end and are made anew"
    ))
}
