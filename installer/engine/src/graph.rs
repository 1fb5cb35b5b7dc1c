use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Serialize, Serializer};

use crate::plan::When;
use crate::rolling::{Batch, Company, Takes, Use};
use crate::rolls::Place;
use crate::{Name, Step};

/// A plan, lowered: every step on every host, and what waits for what.
pub struct Graph {
    pub(crate) name: Name,
    pub(crate) stages: Vec<Name>,
    pub(crate) tasks: Vec<PlannedTask>,
    pub(crate) rolls: Vec<Roll>,
    pub(crate) nodes: DiGraph<Node, ()>,
}

/// A task of the plan, to which its steps point.
pub(crate) struct PlannedTask {
    pub name: Name,
    /// The position of its stage: a stage may occur twice.
    pub stage: usize,
    pub when: When,
}

/// Hosts that take turns.
#[derive(Clone)]
pub(crate) struct Roll {
    pub batch: Batch,
    pub takes: Takes,
    /// How many must be up at any time.
    pub needed: usize,
    pub members: Vec<Member>,
}

/// A host of a roll: its nodes follow each other.
#[derive(Clone)]
pub(crate) struct Member {
    pub first: NodeIndex,
    /// What is asked whether it is needed: files and acts.
    pub asked: Vec<NodeIndex>,
    pub first_act: NodeIndex,
    pub last: NodeIndex,
    pub company: Company,
}

pub(crate) enum Node {
    Work(Work),
    /// Holds back what is behind it. Keeps n × m edges at n + m.
    Gate(Gate),
}

/// When a gate opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// When all ahead succeeded.
    Succeeded,
    /// When all ahead ended.
    Ended,
    /// When all ahead ended and so many of them succeeded.
    Enough(usize),
    /// When all ahead ended, and none of the rolls from the first on, ahead of the other, has brought anything down.
    Rolled { first: usize, end: usize },
}

pub(crate) struct Work {
    /// The position of its task.
    pub task: usize,
    pub host: Name,
    /// Where it stands in a roll.
    pub place: Option<Place>,
    pub step: Arc<dyn Step>,
}

impl Work {
    /// The host that does it.
    pub fn done_on(&self) -> &str {
        self.step.done_on().unwrap_or(&self.host)
    }

    /// It is what its roll is about, and not what goes with it.
    pub fn is_act(&self) -> bool {
        self.place.is_some_and(|place| place.what == Use::Act)
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
    pub stage: Name,
    pub task: Name,
    pub host: Name,
    pub step: String,
    pub title: String,
}

/// A node of the graph as it is written down: a step or a gate, and what it waits for. A gate stands for all that is ahead
/// of it, so that the whole grows with the steps and not with the square of the hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum LinkedNode {
    Step {
        #[serde(flatten)]
        node: NodeView,
        /// The steps and gates that it waits for.
        after: Vec<usize>,
    },
    Gate {
        id: usize,
        gate: Gate,
        after: Vec<usize>,
    },
}

impl Graph {
    pub(crate) fn task_of(&self, work: &Work) -> &PlannedTask {
        &self.tasks[work.task]
    }

    pub(crate) fn stage_of(&self, work: &Work) -> &Name {
        &self.stages[self.task_of(work).stage]
    }

    /// Names a step in the whole graph: `etcd/join/node2/start etcd.service`.
    pub(crate) fn path(&self, work: &Work) -> String {
        let (stage, task) = (self.stage_of(work), &self.task_of(work).name);
        format!("{stage}/{task}/{}/{}", work.host, work.step.id())
    }

    pub(crate) fn work_at(&self, index: NodeIndex) -> Option<&Work> {
        match &self.nodes[index] {
            Node::Work(work) => Some(work),
            Node::Gate(_) => None,
        }
    }

    pub(crate) fn work(&self) -> impl Iterator<Item = (NodeIndex, &Work)> {
        let indices = self.nodes.node_indices();
        indices.filter_map(|index| Some((index, self.work_at(index)?)))
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
        self.views().collect()
    }

    /// The same one after another: a plan of many hosts is long.
    pub fn views(&self) -> impl Iterator<Item = NodeView> {
        self.work().map(|(index, work)| self.viewed(index, work))
    }

    /// Every step and gate in plan order, one after another, with what it waits for.
    pub fn linked(&self) -> impl Iterator<Item = LinkedNode> {
        self.nodes.node_indices().map(|index| {
            let after = self.after(index);
            match &self.nodes[index] {
                Node::Work(work) => LinkedNode::Step {
                    node: self.viewed(index, work),
                    after,
                },
                Node::Gate(gate) => LinkedNode::Gate {
                    id: index.index(),
                    gate: *gate,
                    after,
                },
            }
        })
    }

    pub(crate) fn viewed(&self, index: NodeIndex, work: &Work) -> NodeView {
        NodeView {
            id: index.index(),
            stage: self.stage_of(work).clone(),
            task: self.task_of(work).name.clone(),
            host: work.host.clone(),
            step: work.step.id(),
            title: work.step.describe(),
        }
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

    /// What stands right ahead, each once.
    pub(crate) fn after(&self, index: NodeIndex) -> Vec<usize> {
        let mut after: Vec<usize> = self.ahead(index).map(NodeIndex::index).collect();
        after.sort_unstable();
        after.dedup();
        after
    }

    pub(crate) fn ahead(&self, index: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes.neighbors_directed(index, Direction::Incoming)
    }
}

/// As the list of its steps and gates.
impl Serialize for Graph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.linked())
    }
}
