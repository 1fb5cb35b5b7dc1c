use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Display, Write};
use std::hash::Hash;

use crate::graph::{Graph, Node, Work};
use crate::{Name, NodeView};

impl Graph {
    /// The plan for people: stage, task, host, step.
    #[must_use]
    pub fn tree(&self) -> String {
        tree(self.views().map(Line::from))
    }

    /// The plan for Graphviz.
    #[must_use]
    pub fn dot(&self) -> impl Display {
        fmt::from_fn(|f| self.draw(f))
    }

    fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digraph \"{}\" {{", self.name)?;
        writeln!(f, "  rankdir=LR; node [shape=box];")?;
        for index in self.nodes.node_indices() {
            let id = index.index();
            match &self.nodes[index] {
                Node::Work(Work { step, host, .. }) => {
                    let label = format!("{}\\n{host}", step.describe()).replace('"', "\\\"");
                    writeln!(f, "  n{id} [label=\"{label}\"];")?;
                }
                Node::Gate(_) => writeln!(f, "  n{id} [shape=point];")?,
            }
            for ahead in self.after(index) {
                writeln!(f, "  n{ahead} -> n{id};")?;
            }
        }
        writeln!(f, "}}")
    }
}

/// A step of a tree, with what is told of it there.
pub struct Line {
    pub stage: Name,
    pub task: Name,
    pub host: Name,
    pub text: String,
}

impl From<NodeView> for Line {
    fn from(node: NodeView) -> Self {
        Self {
            stage: node.stage,
            task: node.task,
            host: node.host,
            text: node.title,
        }
    }
}

/// Draws steps as a tree. Hosts that do the same share their lines.
pub fn tree(lines: impl IntoIterator<Item = Line>) -> String {
    let (mut stages, mut tasks) = (Known::default(), Known::default());
    let (mut hosts, mut texts) = (Known::default(), Known::<Name>::default());
    let steps = lines.into_iter().map(|line| {
        let stage = stages.at(line.stage);
        Placed {
            stage,
            task: tasks.at((stage, line.task)),
            host: hosts.at(line.host),
            text: texts.at(line.text.into()),
        }
    });
    let mut steps: Vec<Placed> = steps.collect();
    // It keeps their order, so that what comes first in a stage stands first there.
    steps.sort_by_key(|step| (step.stage, step.task));
    let mut out = String::new();
    for in_stage in steps.chunk_by(|a, b| a.stage == b.stage) {
        let _ = writeln!(out, "{}", stages.all[in_stage[0].stage]);
        for in_task in in_stage.chunk_by(|a, b| a.task == b.task) {
            let _ = writeln!(out, "  {}", tasks.all[in_task[0].task].1);
            for (alike, lines) in sharing(in_task) {
                let names: Vec<&str> = alike.iter().map(|host| &*hosts.all[*host]).collect();
                let _ = writeln!(out, "    {}", names.join(", "));
                for line in lines {
                    let _ = writeln!(out, "      {}", texts.all[line]);
                }
            }
        }
    }
    out
}

/// A step by the positions of what it consists of: most of that is the same for many.
struct Placed {
    stage: usize,
    task: usize,
    host: usize,
    text: usize,
}

/// What has come so far, each once and in the order in which it came first.
struct Known<T> {
    all: Vec<T>,
    at: HashMap<T, usize>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            at: HashMap::new(),
        }
    }
}

impl<T: Clone + Eq + Hash> Known<T> {
    fn at(&mut self, one: T) -> usize {
        match self.at.entry(one) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.all.push(new.key().clone());
                *new.insert(self.all.len() - 1)
            }
        }
    }
}

/// The lines of a task, each with the hosts that have the same.
fn sharing(in_task: &[Placed]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut on_hosts: Known<usize> = Known::default();
    let mut lines: Vec<Vec<usize>> = Vec::new();
    for step in in_task {
        let at = on_hosts.at(step.host);
        lines.resize_with(on_hosts.all.len(), Vec::new);
        lines[at].push(step.text);
    }
    let mut alike: Known<Vec<usize>> = Known::default();
    let mut hosts: Vec<Vec<usize>> = Vec::new();
    for (host, lines) in on_hosts.all.into_iter().zip(lines) {
        let at = alike.at(lines);
        hosts.resize_with(alike.all.len(), Vec::new);
        hosts[at].push(host);
    }
    hosts.into_iter().zip(alike.all).collect()
}
