use std::collections::VecDeque;
use std::future::Future;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use petgraph::graph::NodeIndex;
use tokio_util::sync::CancellationToken;

use crate::graph::{Gate, Graph, Node, Work};
use crate::rolling::Use;
use crate::rolls::{Look, Mode, Next, Rolls};

/// How a visit to a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Succeeded,
    Failed,
    /// It was cut short: what is behind it is not begun.
    Interrupted,
}

/// Why a node was never visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// This node, somewhere ahead, failed.
    Behind(NodeIndex),
    /// Its roll has halted at this node, on another host.
    Halted(NodeIndex),
    /// With this node too few hosts of its roll are up.
    TooFew(NodeIndex),
    Interrupted,
}

/// A node of which nothing ahead is left.
#[derive(Clone, Copy)]
pub(crate) struct Ready<'g> {
    pub index: NodeIndex,
    pub work: &'g Work,
    /// The node that it waited for last.
    pub after: Option<NodeIndex>,
}

/// What becomes of the nodes of a graph.
pub(crate) trait Visitor {
    fn visit(&self, ready: Ready<'_>) -> impl Future<Output = Ended>;

    /// Asks, before the first node of a turn, whether anything of it is needed. A host that cannot say has failed at that
    /// node.
    fn look(&self, first: Ready<'_>, asked: &[(NodeIndex, &Work)]) -> impl Future<Output = Look>;

    /// The node need not be visited: its turn has nothing to do.
    fn pass(&self, ready: Ready<'_>);

    /// The node cannot be visited any more.
    fn skip(&self, work: &Work, why: Skipped);
}

/// Visits every node of the graph once everything ahead of it has ended: a ready queue by in-degree. Hosts of a roll take
/// turns. After `cancel`, what runs is finished and nothing new is started.
pub(crate) async fn drive(
    graph: &Graph,
    jobs: usize,
    cancel: &CancellationToken,
    visitor: &impl Visitor,
) {
    let mut queue = Queue::new(graph, visitor);
    let mut running = FuturesUnordered::new();
    loop {
        while !cancel.is_cancelled() && running.len() < jobs.max(1) {
            let Some(job) = queue.next(running.is_empty()) else {
                break;
            };
            running.push(async move {
                match job {
                    Job::Visit(ready) => Done::Visit(ready.index, visitor.visit(ready).await),
                    Job::Look(first, asked) => {
                        Done::Look(first.index, visitor.look(first, &asked).await)
                    }
                }
            });
        }
        match running.next().await {
            Some(Done::Visit(index, ended)) => queue.visited(index, ended),
            Some(Done::Look(index, look)) => queue.looked(index, look),
            None => break,
        }
    }
    queue.abandon();
}

enum Job<'g> {
    Visit(Ready<'g>),
    /// Before the first node of a turn, about what of it is asked.
    Look(Ready<'g>, Vec<(NodeIndex, &'g Work)>),
}

enum Done {
    Visit(NodeIndex, Ended),
    Look(NodeIndex, Look),
}

/// What may be visited next.
struct Queue<'g, V> {
    graph: &'g Graph,
    visitor: &'g V,
    /// How many nodes ahead have not ended.
    waiting: Vec<usize>,
    /// The failure ahead that a node cannot get past.
    blocked: Vec<Option<NodeIndex>>,
    /// How many nodes ahead have succeeded.
    succeeded: Vec<usize>,
    ended: Vec<bool>,
    /// What a node waited for last.
    after: Vec<Option<NodeIndex>>,
    /// What ended last of all: it is what gave a turn to the next host.
    latest: Option<NodeIndex>,
    ready: VecDeque<NodeIndex>,
    rolls: Rolls,
}

impl<'g, V: Visitor> Queue<'g, V> {
    fn new(graph: &'g Graph, visitor: &'g V) -> Self {
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
            visitor,
            waiting,
            blocked: vec![None; count],
            succeeded: vec![0; count],
            ended: vec![false; count],
            after: vec![None; count],
            latest: None,
            ready,
            rolls: Rolls::of(graph),
        }
    }

    /// What to start now. `idle` says that nothing runs: who has not come to its roll by then does not come before others
    /// have had their turns.
    fn next(&mut self, idle: bool) -> Option<Job<'g>> {
        loop {
            while let Some(index) = self.ready.pop_front() {
                if let Some(job) = self.begin(index) {
                    return Some(job);
                }
            }
            match self.rolls.next(idle)? {
                Next::Turn(first) => {
                    self.after[first.index()] = self.latest;
                    self.ready.push_back(first);
                }
                Next::Skip(first, why, cause) => {
                    if let Some(work) = self.graph.work_at(first) {
                        self.visitor.skip(work, why);
                    }
                    self.end(first, Some(cause));
                }
            }
        }
    }

    /// What is to be done at a node that is ready. None where that is nothing, and what is behind it is ready instead.
    fn begin(&mut self, index: NodeIndex) -> Option<Job<'g>> {
        // Gates are never ready: they end with what is ahead of them.
        let work = self.graph.work_at(index)?;
        let after = self.after[index.index()];
        let ready = Ready { index, work, after };
        let Some(place) = work.place else {
            return Some(Job::Visit(ready));
        };
        match self.rolls.mode(place) {
            Mode::Absent => {
                let asked = self.rolls.asked(place).iter();
                let asked = asked.filter_map(|&node| Some((node, self.graph.work_at(node)?)));
                let look = Job::Look(ready, asked.collect());
                self.rolls.set(place, Mode::Looking);
                Some(look)
            }
            Mode::Fresh if place.what == Use::Act && self.rolls.is_one_by_one(place) => {
                self.rolls.set(place, Mode::WaitingFresh);
                None
            }
            Mode::Fresh | Mode::TurnFresh if place.what.is_asked() => Some(Job::Visit(ready)),
            Mode::Turn | Mode::Open => Some(Job::Visit(ready)),
            Mode::Idle | Mode::Fresh | Mode::TurnFresh => {
                self.visitor.pass(ready);
                self.end(index, None);
                None
            }
            Mode::Looking
            | Mode::Waiting
            | Mode::WaitingFresh
            | Mode::Lost
            | Mode::Failed
            | Mode::Done => None,
        }
    }

    fn visited(&mut self, index: NodeIndex, ended: Ended) {
        self.latest = Some(index);
        match ended {
            Ended::Succeeded => self.end(index, None),
            Ended::Failed => self.end(index, Some(index)),
            // What waits for it is abandoned with all the rest.
            Ended::Interrupted => self.ended[index.index()] = true,
        }
    }

    fn looked(&mut self, index: NodeIndex, look: Look) {
        let Some(place) = self.graph.work_at(index).and_then(|work| work.place) else {
            return;
        };
        match look {
            Look::Lost => return self.end(index, Some(index)),
            Look::Interrupted => {
                self.ended[index.index()] = true;
                return;
            }
            Look::Idle => self.rolls.set(place, Mode::Idle),
            Look::Fresh => self.rolls.set(place, Mode::Fresh),
            Look::Open => self.rolls.set(place, Mode::Open),
            Look::Due => return self.rolls.set(place, Mode::Waiting),
        }
        self.ready.push_front(index);
    }

    /// A node ended, well or blocked by a failure; so do the gates and the unreachable nodes behind it.
    fn end(&mut self, index: NodeIndex, failure: Option<NodeIndex>) {
        let cause = index;
        let mut open = vec![(index, failure)];
        while let Some((index, failure)) = open.pop() {
            self.ended[index.index()] = true;
            if let Some(place) = self.graph.work_at(index).and_then(|work| work.place) {
                self.rolls.ended(place, index, failure);
            }
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
                    (Node::Gate(Gate::Rolled { first, end }), _) => {
                        open.push((behind, self.rolls.brought_down(*first..*end)));
                    }
                    (Node::Gate(Gate::Succeeded | Gate::Enough(_)), blocked) => {
                        open.push((behind, blocked));
                    }
                    (Node::Work(work), Some(failed)) => {
                        self.visitor.skip(work, Skipped::Behind(failed));
                        open.push((behind, Some(failed)));
                    }
                    (Node::Work(_), None) => {
                        self.after[at] = Some(cause);
                        self.ready.push_back(behind);
                    }
                }
            }
        }
    }

    fn abandon(self) {
        for (index, work) in self.graph.work() {
            if !self.ended[index.index()] {
                self.visitor.skip(work, Skipped::Interrupted);
            }
        }
    }
}
