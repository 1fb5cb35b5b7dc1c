use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::{self, Display, Write};

use crate::NodeView;
use crate::graph::{Graph, Node, Work};

impl Graph {
    /// The plan for people: stage, task, host, step.
    #[must_use]
    pub fn tree(&self) -> String {
        tree(&self.view(), |_| String::new())
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

/// Draws nodes as a tree; `note` is put behind each title. Hosts that do the same share their lines.
pub fn tree(nodes: &[NodeView], note: impl Fn(&NodeView) -> String) -> String {
    let mut out = String::new();
    for (stage, in_stage) in groups(nodes, |node| &node.stage) {
        let _ = writeln!(out, "{stage}");
        for (task, in_task) in groups(in_stage, |node| &node.task) {
            let _ = writeln!(out, "  {task}");
            for (hosts, lines) in sharing(in_task, &note) {
                let _ = writeln!(out, "    {}", hosts.join(", "));
                for line in lines {
                    let _ = writeln!(out, "      {line}");
                }
            }
        }
    }
    out
}

/// The lines of a task, each with the hosts that have the same.
fn sharing<'a>(
    in_task: Vec<&'a NodeView>,
    note: &impl Fn(&NodeView) -> String,
) -> Vec<(Vec<&'a str>, Vec<String>)> {
    let mut sharing: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    let mut known: HashMap<Vec<String>, usize> = HashMap::new();
    for (host, on_host) in groups(in_task, |node| &node.host) {
        let line = |node: &&NodeView| format!("{}{}", node.title, note(node));
        let lines: Vec<String> = on_host.iter().map(line).collect();
        match known.entry(lines) {
            Entry::Occupied(at) => sharing[*at.get()].0.push(host),
            Entry::Vacant(new) => {
                sharing.push((vec![host], new.key().clone()));
                new.insert(sharing.len() - 1);
            }
        }
    }
    sharing
}

/// Groups by a name, each group where its name first occurs.
fn groups<'a>(
    nodes: impl IntoIterator<Item = &'a NodeView>,
    name: impl Fn(&NodeView) -> &String,
) -> Vec<(&'a str, Vec<&'a NodeView>)> {
    let mut groups: Vec<(&str, Vec<&NodeView>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for node in nodes {
        let name = name(node).as_str();
        let at = *known.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(node);
    }
    groups
}
