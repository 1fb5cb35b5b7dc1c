use std::collections::VecDeque;
use std::future::Future;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::graph::{Gate, Graph, Node, Work};

/// How a visit to a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
}

/// Why a node was never visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// This node, somewhere ahead, failed.
    Behind(NodeIndex),
    Interrupted,
}

/// Visits every node of the graph once everything ahead of it has ended: a ready queue by in-degree. `skip` hears of
/// each node that cannot be visited any more. After `cancel`, what runs is finished and nothing new is started.
pub(crate) async fn drive<'g, Visit, Visiting>(
    graph: &'g Graph,
    jobs: usize,
    cancel: &CancellationToken,
    visit: Visit,
    mut skip: impl FnMut(&'g Work, Skipped),
) where
    Visit: Fn(NodeIndex, &'g Work) -> Visiting,
    Visiting: Future<Output = Ended>,
{
    let mut queue = Queue::new(graph);
    let mut running = FuturesUnordered::new();
    loop {
        while !cancel.is_cancelled() && running.len() < jobs.max(1) {
            let Some((index, work)) = queue.pop() else {
                break;
            };
            let visiting = visit(index, work);
            running.push(async move { (index, visiting.await) });
        }
        let Some((index, ended)) = running.next().await else {
            break;
        };
        queue.end(index, (ended == Ended::Failed).then_some(index), &mut skip);
    }
    queue.abandon(&mut skip);
}

/// What may be visited next.
struct Queue<'g> {
    graph: &'g Graph,
    /// How many nodes ahead have not ended.
    waiting: Vec<usize>,
    /// The failure ahead that a node cannot get past.
    blocked: Vec<Option<NodeIndex>>,
    /// How many nodes ahead have succeeded.
    succeeded: Vec<usize>,
    ended: Vec<bool>,
    ready: VecDeque<NodeIndex>,
}

impl<'g> Queue<'g> {
    fn new(graph: &'g Graph) -> Self {
        let count = graph.nodes.node_count();
        let waiting: Vec<usize> = graph
            .nodes
            .node_indices()
            .map(|index| graph.ahead(index).count())
            .collect();
        let ready = graph
            .nodes
            .node_indices()
            .filter(|index| waiting[index.index()] == 0)
            .collect();
        Self {
            graph,
            waiting,
            blocked: vec![None; count],
            succeeded: vec![0; count],
            ended: vec![false; count],
            ready,
        }
    }

    fn pop(&mut self) -> Option<(NodeIndex, &'g Work)> {
        // Gates are never in the queue: they end with what is ahead of them.
        let index = self.ready.pop_front()?;
        match &self.graph.nodes[index] {
            Node::Work(work) => Some((index, work)),
            Node::Gate(_) => None,
        }
    }

    /// A node ended, well or blocked by a failure; so do the gates and the unreachable nodes behind it.
    fn end(
        &mut self,
        index: NodeIndex,
        failure: Option<NodeIndex>,
        skip: &mut impl FnMut(&'g Work, Skipped),
    ) {
        let mut open = vec![(index, failure)];
        while let Some((index, failure)) = open.pop() {
            self.ended[index.index()] = true;
            for behind in self.graph.nodes.neighbors(index) {
                let at = behind.index();
                self.waiting[at] -= 1;
                self.blocked[at] = self.blocked[at].or(failure);
                self.succeeded[at] += usize::from(failure.is_none());
                if self.waiting[at] > 0 {
                    continue;
                }
                match (&self.graph.nodes[behind], self.blocked[at]) {
                    (Node::Gate(Gate::Ended), _) => open.push((behind, None)),
                    (Node::Gate(Gate::Enough(needed)), _) if self.succeeded[at] >= *needed => {
                        open.push((behind, None));
                    }
                    (Node::Gate(Gate::Succeeded | Gate::Enough(_)), blocked) => {
                        open.push((behind, blocked));
                    }
                    (Node::Work(work), Some(cause)) => {
                        skip(work, Skipped::Behind(cause));
                        open.push((behind, Some(cause)));
                    }
                    (Node::Work(_), None) => self.ready.push_back(behind),
                }
            }
        }
    }

    fn abandon(self, skip: &mut impl FnMut(&'g Work, Skipped)) {
        for (index, work) in self.graph.work() {
            if !self.ended[index.index()] {
                skip(work, Skipped::Interrupted);
            }
        }
    }
}
