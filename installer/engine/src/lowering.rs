//! From a plan to its graph.

use std::collections::{HashMap, HashSet};

use petgraph::algo::{kosaraju_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use crate::graph::{Gate, Graph, GraphError, Member, Node, PlannedTask, Roll, Work};
use crate::plan::{Part, Plan, Stage, StepOrder, Task};
use crate::rolling::{Rolling, Use};
use crate::rolls::Place;
use crate::{Name, Order};

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
                        match task.step_order {
                            StepOrder::Chained => self.add(work),
                            StepOrder::Apart => self.add_apart(work),
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
            let company = turn.company();
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
                    company,
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
    /// Lowers a plan.
    pub fn of(plan: Plan) -> Result<Self, GraphError> {
        let mut lowering = Lowering::default();
        for stage in plan.stages {
            lowering.stage(stage);
        }
        lowering.finish(plan.name)
    }

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

    /// Task by task, since the names of all steps at once are more than the graph itself.
    fn refuse_twins(&self) -> Result<(), GraphError> {
        let mut ranks = HashMap::new();
        let ranked = self.tasks.iter().map(|task| {
            let next = ranks.len();
            let path = (&self.stages[task.stage], &task.name);
            *ranks.entry(path).or_insert(next)
        });
        let ranked: Vec<usize> = ranked.collect();
        let rank = |work: &Work| ranked[work.task];
        let mut works: Vec<&Work> = self.work().map(|(_, work)| work).collect();
        works.sort_by_key(|work| rank(work));
        for of_one_path in works.chunk_by(|a, b| rank(a) == rank(b)) {
            let mut known = HashSet::new();
            for work in of_one_path {
                if !known.insert((&work.host, work.step.id())) {
                    return Err(GraphError::Twice(self.path(work)));
                }
            }
        }
        Ok(())
    }

    /// By algorithms that keep their way on the heap: the operator's machine alone has some steps for every host, one after
    /// another, and a stack has no room for so many.
    fn refuse_cycles(&self) -> Result<(), GraphError> {
        let Err(circular) = toposort(&self.nodes, None) else {
            return Ok(());
        };
        let groups = kosaraju_scc(&self.nodes).into_iter();
        let mut circle = groups
            .filter(|group| group.contains(&circular.node_id()))
            .flatten()
            .collect::<Vec<_>>();
        circle.sort_unstable();
        let works = circle.into_iter().filter_map(|index| self.work_at(index));
        Err(GraphError::Cycle(
            works.map(|work| self.path(work)).collect(),
        ))
    }
}
