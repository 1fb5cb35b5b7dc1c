use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use petgraph::Direction;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Serialize, Serializer};

use crate::plan::{Bond, Part, Plan, Stage, Task, When};
use crate::rolling::{Batch, Rolling, Takes, Use};
use crate::rolls::Place;
use crate::{Name, Order, Step};

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
    pub stage: String,
    pub task: String,
    pub host: String,
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
    /// Lowers a plan.
    pub fn of(plan: Plan) -> Result<Self, GraphError> {
        let mut lowering = Lowering::default();
        for stage in plan.stages {
            lowering.stage(stage);
        }
        lowering.finish(plan.name)
    }

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
        self.work()
            .map(|(index, work)| self.viewed(index, work))
            .collect()
    }

    /// Every step and gate in plan order, with what it waits for. One after another: a plan of many hosts is long.
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
            stage: self.stage_of(work).to_string(),
            task: self.task_of(work).name.to_string(),
            host: work.host.to_string(),
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

/// Between what a gate stands.
#[derive(Clone, Copy)]
enum Level {
    Stages,
    Tasks,
    Parts,
}

#[derive(Default)]
struct Lowering {
    stages: Vec<Name>,
    tasks: Vec<PlannedTask>,
    rolls: Vec<Roll>,
    nodes: DiGraph<Node, ()>,
    /// Work in plan order.
    added: Vec<NodeIndex>,
    /// The last work on each host.
    tail: HashMap<Name, NodeIndex>,
    /// The gates of each level: what is added now must pass all of them.
    gates: [Vec<NodeIndex>; 3],
    passed: HashSet<(Name, NodeIndex)>,
}

impl Lowering {
    fn stage(&mut self, stage: Stage) {
        self.wait(Level::Stages, stage.order, 0);
        self.stages.push(stage.name);
        let start = self.added.len();
        for task in stage.tasks {
            self.wait(Level::Tasks, task.order.clone(), start);
            self.task(task);
        }
        self.leave(Level::Tasks);
    }

    fn task(&mut self, task: Task) {
        let at = self.tasks.len();
        self.tasks.push(PlannedTask {
            name: task.name,
            stage: self.stages.len() - 1,
            when: task.when,
        });
        let start = self.added.len();
        for part in task.parts {
            match part {
                Part::Wait(order) => self.wait(Level::Parts, order, start),
                Part::Roll(rolling) => self.roll(at, rolling),
                Part::Chain { host, steps } => {
                    for step in steps {
                        let host = host.clone();
                        let work = Work {
                            task: at,
                            host,
                            place: None,
                            step,
                        };
                        match task.bond {
                            Bond::Chained => self.add(work),
                            Bond::Apart => self.add_apart(work),
                        };
                    }
                }
            }
        }
        self.leave(Level::Parts);
    }

    fn roll(&mut self, task: usize, rolling: Rolling) {
        let mut members = Vec::new();
        for (member, (host, turn)) in rolling.turns.into_iter().enumerate() {
            let (mut nodes, mut asked, mut first_act) = (Vec::new(), Vec::new(), None);
            for (what, step) in turn.into_steps() {
                let place = Place {
                    roll: self.rolls.len(),
                    member,
                    what,
                };
                let node = self.add(Work {
                    task,
                    host: host.clone(),
                    place: Some(place),
                    step,
                });
                nodes.push(node);
                if what.is_asked() {
                    asked.push(node);
                }
                if what == Use::Act {
                    first_act.get_or_insert(node);
                }
            }
            if let (Some(&first), Some(&last), Some(first_act)) =
                (nodes.first(), nodes.last(), first_act)
            {
                members.push(Member {
                    first,
                    asked,
                    first_act,
                    last,
                });
            }
        }
        self.rolls.push(Roll {
            batch: rolling.batch,
            takes: rolling.takes,
            needed: rolling.needed,
            members,
        });
    }

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
                self.tail
                    .get(&Name::from(host))
                    .copied()
                    .into_iter()
                    .collect(),
            ),
            Order::Enough { of, needed } => {
                let tails = of
                    .into_iter()
                    .filter_map(|host| self.tail.get(&Name::from(host)).copied());
                (Gate::Enough(needed), tails.collect())
            }
            Order::Rolled => {
                let end = self.rolls.len();
                let is_since = |roll: &Roll| {
                    let begins = roll.members.first().map(|member| member.first);
                    begins
                        .zip(since_start.first())
                        .is_some_and(|(begins, start)| begins >= *start)
                };
                let first = self.rolls.iter().position(is_since).unwrap_or(end);
                let members = self.rolls[first..].iter().flat_map(|roll| &roll.members);
                let lasts = members.map(|member| member.last).collect();
                (Gate::Rolled { first, end }, lasts)
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

    fn add(&mut self, work: Work) -> NodeIndex {
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
        index
    }

    /// Behind what is ahead on its host, and ahead of nothing there.
    fn add_apart(&mut self, work: Work) -> NodeIndex {
        let tail = self.tail.get(&work.host).copied();
        let index = self.nodes.add_node(Node::Work(work));
        for ahead in self.gates.iter().flatten().copied().chain(tail) {
            self.nodes.add_edge(ahead, index, ());
        }
        self.added.push(index);
        index
    }

    fn finish(self, name: Name) -> Result<Graph, GraphError> {
        let Self {
            stages,
            tasks,
            rolls,
            nodes,
            added,
            ..
        } = self;
        let mut graph = Graph {
            name,
            stages,
            tasks,
            rolls,
            nodes,
        };
        graph.connect_slots(&added)?;
        graph.refuse_twins()?;
        graph.refuse_cycles()?;
        Ok(graph)
    }
}

impl Graph {
    fn connect_slots(&mut self, added: &[NodeIndex]) -> Result<(), GraphError> {
        let works = || added.iter().filter_map(|&at| Some((at, self.work_at(at)?)));
        let mut fillers = HashMap::new();
        for (index, work) in works() {
            for slot in work.step.fills() {
                fillers.insert(slot.key(), index);
            }
        }
        let mut edges = Vec::new();
        for (index, work) in works() {
            for slot in work.step.takes() {
                let filler = fillers
                    .get(&slot.key())
                    .ok_or_else(|| GraphError::NobodyFills {
                        taker: self.path(work),
                        slot: slot.name().to_owned(),
                    })?;
                // What is changed is asked before its turn begins.
                let asked = |place: Place| self.rolls[place.roll].members[place.member].first;
                let place = work.place.filter(|place| place.what.is_asked());
                edges.push((*filler, place.map_or(index, asked)));
            }
        }
        // One that is there twice does no harm; to look for it costs more the more steps take from one.
        for (filler, taker) in edges {
            self.nodes.add_edge(filler, taker, ());
        }
        Ok(())
    }

    fn refuse_twins(&self) -> Result<(), GraphError> {
        let mut known = HashSet::new();
        let twin = self.work().find(|(_, work)| {
            let task = self.task_of(work);
            let place = (self.stage_of(work), &task.name, &work.host);
            !known.insert((place, work.step.id()))
        });
        match twin {
            Some((_, work)) => Err(GraphError::Twice(self.path(work))),
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
                let works = group.into_iter().filter_map(|index| self.work_at(index));
                Err(GraphError::Cycle(
                    works.map(|work| self.path(work)).collect(),
                ))
            }
            None => Ok(()),
        }
    }
}
