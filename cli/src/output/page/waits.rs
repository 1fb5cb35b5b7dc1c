//! What a step waits for on other hosts, in words.

use std::collections::{HashMap, HashSet};

use pipeline::{Gate, LinkedNode, NodeView};

use super::names::folded;
use super::plan::Plan;

/// What stands ahead of gates.
pub struct Waits<'a> {
    nodes: HashMap<usize, &'a LinkedNode>,
}

impl<'a> Waits<'a> {
    pub fn of(plan: &'a Plan<'a>) -> Self {
        let id = |linked: &LinkedNode| match linked {
            LinkedNode::Step { node, .. } => node.id,
            LinkedNode::Gate { id, .. } => *id,
        };
        Self {
            nodes: plan
                .nodes
                .iter()
                .map(|linked| (id(linked), linked))
                .collect(),
        }
    }

    /// What is waited for here, in words: of what stands right ahead, the gates. Steps of the same host go without saying.
    pub fn ahead(&self, after: &[usize]) -> Vec<String> {
        let mut sentences: Vec<String> = Vec::new();
        for sentence in after.iter().filter_map(|id| self.sentence(*id)) {
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        sentences
    }

    fn sentence(&self, gate: usize) -> Option<String> {
        let LinkedNode::Gate { gate, after, .. } = self.nodes.get(&gate)? else {
            return None;
        };
        let ahead: Vec<&NodeView> = after
            .iter()
            .filter_map(|id| match self.nodes.get(id)? {
                LinkedNode::Step { node, .. } => Some(node),
                LinkedNode::Gate { .. } => None,
            })
            .collect();
        let hosts: HashSet<&str> = ahead.iter().map(|node| node.host.as_str()).collect();
        let on = match hosts.len() {
            1 | 2 => folded(hosts.iter().copied()),
            many => format!("all {many} hosts"),
        };
        Some(match (gate, ahead.as_slice()) {
            (Gate::Succeeded, [one]) => {
                format!(
                    "waits until \u{201c}{}\u{201d} has gone well on {}",
                    one.title, one.host
                )
            }
            (Gate::Succeeded, _) => format!("waits until everything before has gone well on {on}"),
            (Gate::Ended, _) => {
                format!("waits until everything before has ended on {on}, well or not")
            }
            (Gate::Enough(needed), _) => {
                format!(
                    "waits until everything before has ended on {on}, and well on {needed} of them"
                )
            }
            (Gate::Rolled { .. }, _) => {
                format!(
                    "waits until the turns before are over on {on}, and nothing that was at work is down"
                )
            }
        })
    }
}
