use engine::{Data, Graph, Plan};
use module::{OPERATOR, Site};

use crate::PipelineError;
use crate::install::{InstallStage, plan};

/// From a site as `install` leaves it back to hosts as they were before. What the tree holds beside its `bundle.json`
/// is not needed.
///
/// Each host goes by itself. What the operator's machine made goes last, and only if all hosts are done: a host that
/// was down can then be left by another run.
pub fn delete(site: &Site, data: Data) -> Result<Graph, PipelineError> {
    let back = plan(site, InstallStage::LAST).reversed("delete", data, OPERATOR);
    Graph::of(back.begin_with(module::recognise(site, data))).map_err(PipelineError::Plan)
}

/// Looks whose the hosts are, and nothing else.
pub fn recognise(site: &Site, data: Data) -> Result<Graph, PipelineError> {
    let stages = vec![module::recognise(site, data)];
    Graph::of(Plan::new("delete", stages)).map_err(PipelineError::Plan)
}
