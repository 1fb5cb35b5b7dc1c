use std::fs;

use artifact::Tree;
use engine::{DryNode, Graph, Inventory, Journal, Lock, RunOptions, RunReport};
use event::Events;
use tokio_util::sync::CancellationToken;

use crate::PipelineError;

/// How a graph is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The bundle's digest, for the journal.
    pub bundle: String,
    /// How many steps at once, over all hosts.
    pub jobs: usize,
    /// The node that shall fail, for tests.
    pub inject_error: Option<String>,
}

/// The right to change a cluster and its tree: nobody else has it until this is dropped.
pub struct Session {
    _lock: Lock,
    journal: Journal,
}

impl Session {
    /// Takes the cluster's lock, before anything of its tree is touched. `holder` says who asks, for whoever finds it
    /// taken.
    pub fn begin(tree: &Tree, holder: &str) -> Result<Self, PipelineError> {
        let state = tree.state();
        fs::create_dir_all(&state).map_err(|source| PipelineError::State {
            path: state.clone(),
            source,
        })?;
        Ok(Self {
            _lock: Lock::take(&state.join("lock"), holder)?,
            journal: Journal::open(&state.join("journal.jsonl"))?,
        })
    }

    /// Runs a graph and writes its journal.
    pub async fn run(
        &self,
        graph: &Graph,
        inventory: &Inventory,
        options: Options,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<RunReport, PipelineError> {
        let run = RunOptions {
            bundle: options.bundle,
            jobs: options.jobs,
            inject_error: options.inject_error,
        };
        Ok(engine::run(graph, inventory, &run, &self.journal, events, cancel).await?)
    }
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
