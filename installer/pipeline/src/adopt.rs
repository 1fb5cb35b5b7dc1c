use engine::{Graph, Plan};
use module::{OPERATOR, Site};

use crate::PipelineError;
use crate::install::{InstallStage, plan};

/// From the hosts of a living cluster to the work directory of somebody who installs on it: whatever `install` brings there
/// is fetched back from where it has brought it to. Of the site's tree nothing is needed, and nothing is overwritten.
pub fn adopt(site: &Site) -> Result<Graph, PipelineError> {
    let installed = plan(site, InstallStage::LAST);
    let (fetched, restored) = installed.origins(site.tree.root(), OPERATOR);
    let stages = vec![
        module::recognise_authorities(site),
        module::fetch(site, fetched),
        module::restore(site, restored),
    ];
    Graph::of(Plan::new("adopt", stages)).map_err(PipelineError::Plan)
}
