use std::collections::HashMap;
use std::fmt::Write;

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
    pub fn dot(&self) -> String {
        let mut out = format!(
            "digraph \"{}\" {{\n  rankdir=LR; node [shape=box];\n",
            self.name
        );
        for index in self.nodes.node_indices() {
            let id = index.index();
            let _ = match &self.nodes[index] {
                Node::Work(Work { step, host, .. }) => {
                    let label = format!("{}\\n{host}", step.describe()).replace('"', "\\\"");
                    writeln!(out, "  n{id} [label=\"{label}\"];")
                }
                Node::Gate(_) => writeln!(out, "  n{id} [shape=point];"),
            };
            for ahead in self.ahead(index) {
                let _ = writeln!(out, "  n{} -> n{id};", ahead.index());
            }
        }
        out.push_str("}\n");
        out
    }
}

/// Draws nodes as a tree; `note` is put behind each title. Hosts that do the same share their lines.
pub fn tree(nodes: &[NodeView], note: impl Fn(&NodeView) -> String) -> String {
    let mut out = String::new();
    for (stage, in_stage) in groups(nodes, |node| &node.stage) {
        let _ = writeln!(out, "{stage}");
        for (task, in_task) in groups(&in_stage, |node| &node.task) {
            let _ = writeln!(out, "  {task}");
            let lines = |of: &[NodeView]| -> Vec<String> {
                of.iter()
                    .map(|node| format!("{}{}", node.title, note(node)))
                    .collect()
            };
            let mut sharing: Vec<(Vec<String>, Vec<String>)> = Vec::new();
            for (host, on_host) in groups(&in_task, |node| &node.host) {
                let lines = lines(&on_host);
                match sharing.iter_mut().find(|(_, known)| *known == lines) {
                    Some((hosts, _)) => hosts.push(host),
                    None => sharing.push((vec![host], lines)),
                }
            }
            for (hosts, lines) in sharing {
                let _ = writeln!(out, "    {}", hosts.join(", "));
                for line in lines {
                    let _ = writeln!(out, "      {line}");
                }
            }
        }
    }
    out
}

/// Groups by a name, each group where its name first occurs.
fn groups(nodes: &[NodeView], name: impl Fn(&NodeView) -> &String) -> Vec<(String, Vec<NodeView>)> {
    let mut groups: Vec<(String, Vec<NodeView>)> = Vec::new();
    let mut known: HashMap<&String, usize> = HashMap::new();
    for node in nodes {
        let name = name(node);
        let at = *known.entry(name).or_insert_with(|| {
            groups.push((name.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(node.clone());
    }
    groups
}
