use artifact::Tree;
use engine::{DryNode, Graph, Inventory, Journal, Lock, RunOptions, RunReport};
use event::Events;
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// How a graph is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub cluster: String,
    /// The bundle's digest, for the journal.
    pub bundle: String,
    /// How many steps at once, over all hosts.
    pub jobs: usize,
    /// The node that shall fail, for tests.
    pub inject_error: Option<String>,
    /// Who runs it, for whoever finds the cluster locked.
    pub holder: String,
}

/// How many steps at once on one host: its disk and its sshd have their own limits.
const JOBS_PER_HOST: usize = 4;

/// Runs a graph under the cluster's lock and writes its journal.
pub async fn run(
    graph: &Graph,
    inventory: &Inventory,
    tree: &Tree,
    options: Options,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<RunReport, PipelineError> {
    let state = tree.state();
    std::fs::create_dir_all(&state).map_err(|source| PipelineError::State {
        path: state.clone(),
        source,
    })?;
    let _lock = Lock::take(&state.join("lock"), &options.holder)?;
    let journal = Journal::open(&state.join("journal.jsonl"))?;
    let run = RunOptions {
        cluster: options.cluster,
        bundle: options.bundle,
        jobs: options.jobs,
        jobs_per_host: JOBS_PER_HOST,
        inject_error: options.inject_error,
    };
    Ok(engine::run(graph, inventory, &run, &journal, events, cancel).await?)
}

/// Asks every host what a graph would do there, and changes nothing.
pub async fn dry_run(
    graph: &Graph,
    inventory: &Inventory,
    jobs: usize,
    cancel: &CancellationToken,
) -> Vec<DryNode> {
    engine::dry_run(graph, inventory, jobs, cancel).await
}
