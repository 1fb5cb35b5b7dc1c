use std::fmt::Write;

use crate::NodeView;
use crate::graph::Graph;

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
        for node in self.view() {
            let label = format!("{}\\n{}", node.title, node.host).replace('"', "\\\"");
            let _ = writeln!(out, "  n{} [label=\"{label}\"];", node.id);
            for ahead in &node.after {
                let _ = writeln!(out, "  n{ahead} -> n{};", node.id);
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
    for node in nodes {
        match groups.iter_mut().find(|(known, _)| known == name(node)) {
            Some((_, members)) => members.push(node.clone()),
            None => groups.push((name(node).clone(), vec![node.clone()])),
        }
    }
    groups
}
