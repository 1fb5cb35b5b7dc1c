use engine::{Graph, Plan};
use module::Site;

use crate::PipelineError;

/// From bare hosts to a site that serves its images, keeps its store and runs containers.
pub fn install(site: &Site) -> Result<Graph, PipelineError> {
    let unsupported = site.unsupported();
    if !unsupported.is_empty() {
        return Err(PipelineError::Unsupported(unsupported));
    }
    let missing = site.missing();
    if !missing.is_empty() {
        return Err(PipelineError::Missing(missing));
    }
    let stages = vec![
        module::preflight(site),
        module::prepare(site),
        module::os(site),
        module::registry(site),
        module::runtime(site),
        module::etcd(site),
        module::proof(site),
    ];
    Graph::of(Plan::new("install", stages)).map_err(PipelineError::Plan)
}
