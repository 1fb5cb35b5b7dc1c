use std::collections::BTreeMap;
use std::fs::{self, File};
use std::pin::Pin;

use artifact::Tree;
use engine::{
    DryNode, DryState, Graph, Inventory, Journal, Lease, LeaseError, Lock, Name, RunOptions,
    RunReport,
};
use event::{Events, RunOutcome};
use module::OPERATOR;
use tokio_util::sync::CancellationToken;

use crate::{Leasing, PipelineError};

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

/// What a run does that must be the only one at work on its cluster.
pub struct Undertaking<'a> {
    pub graph: &'a Graph,
    /// What is done where too few hosts can be asked whether anybody else is at work, so that each tells what is wrong with it.
    pub looking: &'a Graph,
    /// Asked when nobody else can be at work any more, and before anything is done: whether all is as it was judged.
    pub still: Option<Still<'a>>,
}

/// A question of which an error is the only answer that counts.
pub type Still<'a> = Pin<Box<dyn Future<Output = Result<(), PipelineError>> + 'a>>;

impl<'a> From<(&'a Graph, &'a Graph)> for Undertaking<'a> {
    fn from((graph, looking): (&'a Graph, &'a Graph)) -> Self {
        Self {
            graph,
            looking,
            still: None,
        }
    }
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
        Self::with(Lock::take(&state.join("lock"), holder)?, tree)
    }

    /// The same with a lock that is held already: since the tree was filled, nobody else has come to it.
    pub fn go_on(tree: &Tree, holder: &str, lock: File) -> Result<Self, PipelineError> {
        Self::with(Lock::of(lock, &tree.state().join("lock"), holder)?, tree)
    }

    fn with(lock: Lock, tree: &Tree) -> Result<Self, PipelineError> {
        Ok(Self {
            _lock: lock,
            journal: Journal::open(&tree.state().join("journal.jsonl"))?,
        })
    }

    /// The same for a run that must be the only one at work on the cluster, from whichever machine.
    pub async fn run_alone<'a>(
        &self,
        undertaking: impl Into<Undertaking<'a>>,
        leasing: &Leasing,
        inventory: &Inventory,
        options: Options,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<RunReport, PipelineError> {
        let Undertaking {
            graph,
            looking,
            still,
        } = undertaking.into();
        let hosts = leasing.hosts.iter();
        let hosts = hosts.filter_map(|host| inventory.get(host).cloned());
        let stop = cancel.child_token();
        match Lease::take(hosts.collect(), &leasing.claim, leasing.stale, &stop).await {
            Ok(lease) => {
                let judged = match still {
                    Some(still) => still.await,
                    None => Ok(()),
                };
                let ran = match judged {
                    Ok(()) => self.run(graph, inventory, options, events, &stop).await,
                    Err(error) => Err(error),
                };
                lease.release().await?;
                ran
            }
            Err(error @ LeaseError::TooFew { .. }) => {
                let ran = self.run(looking, inventory, options, events, cancel);
                let report = ran.await?;
                if report.outcome == RunOutcome::Done {
                    return Err(error.into());
                }
                events.warn(error.to_string(), Some(&error.hint()));
                Ok(report)
            }
            Err(error) => Err(error.into()),
        }
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
    let nodes = engine::dry_run(graph, inventory, jobs, cancel).await;
    doubted(nodes, |id| graph.ahead_of(id))
}

/// Where a host could not tell, the operator's machine, which goes by what hosts tell, cannot either.
fn doubted(mut nodes: Vec<DryNode>, ahead_of: impl Fn(usize) -> Vec<usize>) -> Vec<DryNode> {
    let untold: BTreeMap<usize, Name> = nodes
        .iter()
        .filter(|dry| matches!(dry.state, DryState::Unknown { .. }) && dry.node.host != OPERATOR)
        .map(|dry| (dry.node.id, dry.node.host.clone()))
        .collect();
    for dry in &mut nodes {
        if dry.node.host == OPERATOR
            && dry.state == DryState::Satisfied
            && let Some(host) = ahead_of(dry.node.id).iter().find_map(|id| untold.get(id))
        {
            dry.state = DryState::Unknown {
                because: format!("{host} could not tell"),
            };
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use camino::Utf8Path;
    use engine::{Claim, NodeView, Plan, StaleLease};
    use host::Host;
    use host::fake::FakeHost;

    use super::*;

    /// What comes of a run with an empty plan, where this is found when it is alone.
    async fn ran(found: Result<(), PipelineError>) -> Result<RunOutcome, PipelineError> {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::at(Utf8Path::from_path(dir.path()).unwrap().join(".kubexm/c"));
        let session = Session::begin(&tree, "upgrade").unwrap();
        let graph = Graph::of(Plan::new("upgrade", Vec::new())).unwrap();
        let host: Arc<dyn Host> = Arc::new(FakeHost::new("m1").on("", 0, "held\n"));
        let inventory = Inventory::from([("m1".to_owned(), host)]);
        let leasing = Leasing {
            claim: Claim {
                run: "1".to_owned(),
                holder: "2".to_owned(),
                cluster: "c".to_owned(),
                verb: "upgrade".to_owned(),
                owner: "anna@ops".to_owned(),
                directory: "/srv".to_owned(),
                since: jiff::Timestamp::UNIX_EPOCH,
            },
            stale: StaleLease::Respect,
            hosts: vec!["m1".to_owned()],
        };
        let options = Options {
            bundle: String::new(),
            jobs: 1,
            inject_error: None,
        };
        let undertaking = Undertaking {
            graph: &graph,
            looking: &graph,
            still: Some(Box::pin(async { found })),
        };
        let events = Events::nowhere();
        let cancel = CancellationToken::new();
        let ran = session.run_alone(undertaking, &leasing, &inventory, options, &events, &cancel);
        ran.await.map(|report| report.outcome)
    }

    #[tokio::test]
    async fn what_has_changed_when_nobody_else_is_at_work_any_more_ends_the_run() {
        assert_eq!(ran(Ok(())).await.unwrap(), RunOutcome::Done);
        let changed = ran(Err(PipelineError::ChangedMeanwhile("c".to_owned())));
        let changed = changed.await.unwrap_err();
        insta::assert_snapshot!(changed, @"c is no longer what it was when the upgrade was judged: somebody else has been at work on it meanwhile");
        assert!(changed.hint().unwrap().contains("nothing was changed"));
    }

    #[test]
    fn nobody_judges_what_a_host_did_not_tell() {
        let node = |id, host: &str, state| DryNode {
            node: NodeView {
                id,
                stage: "preflight".into(),
                task: "survey".into(),
                host: host.into(),
                step: "step".into(),
                title: "step".into(),
            },
            state,
        };
        let silent = DryState::Unknown {
            because: "connection refused".into(),
        };
        let nodes = vec![
            node(0, "node1", silent.clone()),
            node(1, "node2", DryState::Satisfied),
            node(2, OPERATOR, DryState::Satisfied),
            node(3, OPERATOR, DryState::Satisfied),
        ];
        let ahead = [vec![], vec![0], vec![0, 1], vec![1]];
        let told = doubted(nodes, |id| ahead[id].clone());
        let states: Vec<_> = told.into_iter().map(|dry| dry.state).collect();
        let doubt = DryState::Unknown {
            because: "node1 could not tell".into(),
        };
        let (ok, own) = (DryState::Satisfied, DryState::Satisfied);
        assert_eq!(states, [silent, ok, doubt, own]);
    }
}
