use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::drive::{Ended, drive};
use crate::plan::{Bond, Part, Plan, When};
use crate::{Order, Step};

/// A plan, lowered: every step on every host, and what waits for what.
pub struct Graph {
    pub(crate) name: &'static str,
    pub(crate) nodes: DiGraph<Node, ()>,
}

pub(crate) enum Node {
    Work(Work),
    /// Holds back what is behind it. Keeps n × m edges at n + m.
    Gate(Gate),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Opens when all ahead succeeded.
    Succeeded,
    /// Opens when all ahead ended.
    Ended,
    /// Opens when all ahead ended and so many of them succeeded.
    Enough(usize),
}

pub(crate) struct Work {
    pub stage: &'static str,
    pub task: &'static str,
    pub host: String,
    pub when: When,
    pub step: Arc<dyn Step>,
}

impl Work {
    /// Names the node in the whole graph: `etcd/join/node2/start etcd.service`.
    pub fn path(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.stage,
            self.task,
            self.host,
            self.step.id()
        )
    }
}

/// Why a plan makes no graph. Always a mistake in a layer, never of the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("these steps wait for each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    #[error("'{taker}' takes '{slot}', which no step fills")]
    NobodyFills { taker: String, slot: String },
    #[error("two steps of the plan are called '{0}'")]
    Twice(String),
}

/// A node for plans and drawings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeView {
    pub id: usize,
    pub stage: String,
    pub task: String,
    pub host: String,
    pub step: String,
    pub title: String,
}

/// A node and what it waits for. All of them together grow with the square of the hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkedNode {
    #[serde(flatten)]
    pub node: NodeView,
    /// The nodes that it waits for.
    pub after: Vec<usize>,
}

impl Graph {
    /// Lowers a plan.
    pub fn of(plan: Plan) -> Result<Self, GraphError> {
        let mut lowering = Lowering::default();
        for stage in plan.stages {
            lowering.wait(Level::Stages, stage.order, 0);
            let stage_start = lowering.added.len();
            for task in stage.tasks {
                lowering.wait(Level::Tasks, task.order, stage_start);
                let task_start = lowering.added.len();
                for part in task.parts {
                    match part {
                        Part::Wait(order) => lowering.wait(Level::Parts, order, task_start),
                        Part::Chain { host, steps } => {
                            for step in steps {
                                let host = host.clone();
                                let work = Work {
                                    stage: stage.name,
                                    task: task.name,
                                    host,
                                    when: task.when,
                                    step,
                                };
                                match task.bond {
                                    Bond::Chained => lowering.add(work),
                                    Bond::Apart => lowering.add_apart(work),
                                }
                            }
                        }
                    }
                }
                lowering.leave(Level::Parts);
            }
            lowering.leave(Level::Tasks);
        }
        let nodes = lowering.finish()?;
        Ok(Self {
            name: plan.name,
            nodes,
        })
    }

    pub(crate) fn work(&self) -> impl Iterator<Item = (NodeIndex, &Work)> {
        self.nodes
            .node_indices()
            .filter_map(|index| match &self.nodes[index] {
                Node::Work(work) => Some((index, work)),
                Node::Gate(_) => None,
            })
    }

    /// How many steps there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.work().count()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every step in plan order.
    #[must_use]
    pub fn view(&self) -> Vec<NodeView> {
        self.work()
            .map(|(index, work)| NodeView {
                id: index.index(),
                stage: work.stage.to_owned(),
                task: work.task.to_owned(),
                host: work.host.clone(),
                step: work.step.id(),
                title: work.step.describe(),
            })
            .collect()
    }

    /// Every step in plan order, with the steps that it waits for.
    #[must_use]
    pub fn linked(&self) -> Vec<LinkedNode> {
        let nodes = self.view().into_iter();
        nodes
            .map(|node| LinkedNode {
                after: self.ahead_of(node.id),
                node,
            })
            .collect()
    }

    /// The steps that the step with this id waits for. Looks through gates.
    #[must_use]
    pub fn ahead_of(&self, id: usize) -> Vec<usize> {
        let mut ahead = Vec::new();
        let mut open: Vec<_> = self.ahead(NodeIndex::new(id)).collect();
        while let Some(next) = open.pop() {
            match self.nodes[next] {
                Node::Work(_) => ahead.push(next.index()),
                Node::Gate(_) => open.extend(self.ahead(next)),
            }
        }
        ahead.sort_unstable();
        ahead.dedup();
        ahead
    }

    /// The steps that are still done where each step on this host fails.
    pub async fn without(&self, host: &str) -> Vec<NodeView> {
        let done: Mutex<HashSet<usize>> = Mutex::default();
        let visit = async |index: NodeIndex, work: &Work| {
            if work.host == host {
                return Ended::Failed;
            }
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(index.index());
            Ended::Succeeded
        };
        drive(self, 1, &CancellationToken::new(), visit, |_, _| {}).await;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let nodes = self.view().into_iter();
        nodes.filter(|node| done.contains(&node.id)).collect()
    }

    pub(crate) fn ahead(&self, index: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(index, Direction::Incoming)
    }
}

/// Between what a gate stands.
#[derive(Clone, Copy)]
enum Level {
    Stages,
    Tasks,
    Parts,
}

#[derive(Default)]
struct Lowering {
    nodes: DiGraph<Node, ()>,
    /// Work in plan order.
    added: Vec<NodeIndex>,
    /// The last work on each host.
    tail: BTreeMap<String, NodeIndex>,
    /// The gates of each level: what is added now must pass all of them.
    gates: [Vec<NodeIndex>; 3],
    passed: HashSet<(String, NodeIndex)>,
}

impl Lowering {
    /// Puts a gate behind all work added since `start`.
    fn wait(&mut self, level: Level, order: Order, start: usize) {
        let since_start = &self.added[start..];
        let (gate, ahead) = match order {
            Order::SameHost => return,
            Order::AllHosts => (Gate::Succeeded, since_start.to_vec()),
            Order::Settled => (Gate::Ended, since_start.to_vec()),
            Order::AllSettled => (Gate::Ended, self.added.clone()),
            Order::Host(host) => (
                Gate::Succeeded,
                self.tail.get(&host).copied().into_iter().collect(),
            ),
            Order::Enough { of, needed } => {
                let tails = of.iter().filter_map(|host| self.tail.get(host).copied());
                (Gate::Enough(needed), tails.collect())
            }
        };
        if ahead.is_empty() {
            return;
        }
        let index = self.nodes.add_node(Node::Gate(gate));
        for ahead in ahead {
            self.nodes.add_edge(ahead, index, ());
        }
        self.gates[level as usize].push(index);
    }

    /// The gates of a level hold back nothing outside it.
    fn leave(&mut self, level: Level) {
        self.gates[level as usize].clear();
    }

    fn add(&mut self, work: Work) {
        let host = work.host.clone();
        let index = self.nodes.add_node(Node::Work(work));
        for &gate in self.gates.iter().flatten() {
            if self.passed.insert((host.clone(), gate)) {
                self.nodes.add_edge(gate, index, ());
            }
        }
        if let Some(tail) = self.tail.insert(host, index) {
            self.nodes.add_edge(tail, index, ());
        }
        self.added.push(index);
    }

    /// Behind what is ahead on its host, and ahead of nothing there.
    fn add_apart(&mut self, work: Work) {
        let tail = self.tail.get(&work.host).copied();
        let index = self.nodes.add_node(Node::Work(work));
        for ahead in self.gates.iter().flatten().copied().chain(tail) {
            self.nodes.add_edge(ahead, index, ());
        }
        self.added.push(index);
    }

    fn finish(mut self) -> Result<DiGraph<Node, ()>, GraphError> {
        self.connect_slots()?;
        self.refuse_twins()?;
        self.refuse_cycles()?;
        Ok(self.nodes)
    }

    fn connect_slots(&mut self) -> Result<(), GraphError> {
        let mut fillers = HashMap::new();
        for &index in &self.added {
            for slot in self.step(index).step.fills() {
                fillers.insert(slot.key(), index);
            }
        }
        let mut edges = Vec::new();
        for &index in &self.added {
            let work = self.step(index);
            for slot in work.step.takes() {
                let filler = fillers
                    .get(&slot.key())
                    .ok_or_else(|| GraphError::NobodyFills {
                        taker: work.path(),
                        slot: slot.name().to_owned(),
                    })?;
                edges.push((*filler, index));
            }
        }
        for (filler, taker) in edges {
            self.nodes.update_edge(filler, taker, ());
        }
        Ok(())
    }

    fn refuse_twins(&self) -> Result<(), GraphError> {
        let mut paths: Vec<String> = self
            .added
            .iter()
            .map(|&index| self.step(index).path())
            .collect();
        paths.sort_unstable();
        match paths.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(GraphError::Twice(pair[0].clone())),
            None => Ok(()),
        }
    }

    fn refuse_cycles(&self) -> Result<(), GraphError> {
        let circle = tarjan_scc(&self.nodes)
            .into_iter()
            .find(|group| group.len() > 1);
        match circle {
            Some(mut group) => {
                group.sort_unstable();
                let paths = group
                    .into_iter()
                    .filter_map(|index| match &self.nodes[index] {
                        Node::Work(work) => Some(work.path()),
                        Node::Gate(_) => None,
                    });
                Err(GraphError::Cycle(paths.collect()))
            }
            None => Ok(()),
        }
    }

    fn step(&self, index: NodeIndex) -> &Work {
        match &self.nodes[index] {
            Node::Work(work) => work,
            Node::Gate(_) => unreachable!("`added` holds work only"),
        }
    }
}
