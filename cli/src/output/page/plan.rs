//! The page of a plan: stages in their order, what each does on whom, and what it waits for.

use std::collections::{BTreeMap, HashMap, HashSet};

use maud::{Markup, html};
use pipeline::{Gate, LinkedNode, NodeView};

use super::names::{folded, natural};
use super::parts::{counted, grouped};
use crate::output::wording::of_any_host;

/// What is drawn.
pub struct Plan<'a> {
    pub command: &'static str,
    pub cluster: &'a str,
    /// What it leads to, such as `Kubernetes v1.36.2`.
    pub aim: String,
    pub nodes: Vec<LinkedNode>,
    /// The roles of each host.
    pub roles: BTreeMap<&'a str, String>,
}

struct Stage<'a> {
    name: &'a str,
    tasks: Vec<Task<'a>>,
}

struct Task<'a> {
    name: &'a str,
    nodes: Vec<(&'a NodeView, &'a [usize])>,
}

/// Hosts of a task that do the same.
struct Group<'a> {
    role: &'a str,
    hosts: Vec<&'a str>,
    titles: Vec<&'a str>,
}

pub fn body(plan: &Plan) -> Markup {
    let stages = stages(plan);
    let waits = Waits::of(plan);
    let steps: usize = stages.iter().map(Stage::steps).sum();
    html! {
        header {
            div.title {
                h1 { "plan of " (plan.command) " " b { (plan.cluster) } }
                p.verdict.plan { (plan.aim) }
            }
            p.outcome { "What would be done, in which order. No host was asked: what is done already is not known here." }
            p.facts {
                span { (counted(plan.roles.len() as u64, "host")) }
                span { (counted(stages.len() as u64, "stage")) }
                span { (counted(steps as u64, "step")) }
                span { "kubexm " (env!("CARGO_PKG_VERSION")) }
            }
        }
        (overview(plan, &stages))
        section #stages {
            h2 { "Stages" }
            @let mut told = HashSet::new();
            @for stage in &stages { (drawn(plan, stage, &waits, &mut told)) }
        }
        footer {
            p { "Hosts that do the same are shown once, with the steps of the first of them. On one host, steps follow each other in this order; a host waits for others only where a line says so." }
        }
    }
}

impl Stage<'_> {
    fn steps(&self) -> usize {
        self.tasks.iter().map(|task| task.nodes.len()).sum()
    }
}

fn stages<'a>(plan: &'a Plan) -> Vec<Stage<'a>> {
    let mut stages: Vec<Stage<'a>> = Vec::new();
    let mut known: HashMap<(&str, &str), (usize, usize)> = HashMap::new();
    let mut known_stages: HashMap<&str, usize> = HashMap::new();
    for linked in &plan.nodes {
        let LinkedNode::Step { node, after } = linked else {
            continue;
        };
        let stage = *known_stages.entry(&node.stage).or_insert_with(|| {
            stages.push(Stage {
                name: &node.stage,
                tasks: Vec::new(),
            });
            stages.len() - 1
        });
        let (stage, task) = *known.entry((&node.stage, &node.task)).or_insert_with(|| {
            stages[stage].tasks.push(Task {
                name: &node.task,
                nodes: Vec::new(),
            });
            (stage, stages[stage].tasks.len() - 1)
        });
        stages[stage].tasks[task].nodes.push((node, after));
    }
    stages
}

impl<'a> Plan<'a> {
    fn role(&self, host: &'a str) -> &str {
        self.roles.get(host).map_or(host, String::as_str)
    }
}

/// Which role takes part in which stage, with how many steps on each host.
fn overview<'a>(plan: &'a Plan<'a>, stages: &[Stage<'a>]) -> Markup {
    let mut rows: BTreeMap<&str, (HashSet<&str>, Vec<usize>)> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        for (node, _) in stage.tasks.iter().flat_map(|task| &task.nodes) {
            let role = plan.role(&node.host);
            let (hosts, cells) = rows.entry(role).or_insert_with(|| {
                order.push(role);
                (HashSet::new(), vec![0; stages.len()])
            });
            hosts.insert(&node.host);
            cells[at] += 1;
        }
    }
    html! {
        section #roles {
            h2 { "Who takes part in what" }
            div.timed {
                table.hosts.overview {
                    thead { tr {
                        th { "roles" } th { "hosts" }
                        @for stage in stages { th.cell { span { (stage.name) } } }
                        th.n { "steps" }
                    } }
                    tbody {
                        @for role in order {
                            @let (hosts, cells) = &rows[role];
                            tr {
                                th { (role) }
                                td { (folded(hosts.iter().copied())) @if hosts.len() > 2 { span.dim { " (" (hosts.len()) ")" } } }
                                @for cell in cells {
                                    @if *cell == 0 { td.cell {} }
                                    @else { td.cell.changed title=(counted(*cell as u64, "step")) { (each(*cell, hosts.len())) } }
                                }
                                td.n { (grouped(cells.iter().sum::<usize>() as u64)) }
                            }
                        }
                    }
                }
            }
            p.note { "A number is that of steps on each host." }
        }
    }
}

/// Steps of each host, rounded up.
fn each(steps: usize, hosts: usize) -> usize {
    steps.div_ceil(hosts.max(1))
}

fn drawn<'a>(
    plan: &'a Plan<'a>,
    stage: &Stage<'a>,
    waits: &Waits<'a>,
    told: &mut HashSet<usize>,
) -> Markup {
    let hosts: HashSet<&str> = stage
        .tasks
        .iter()
        .flat_map(|task| task.nodes.iter().map(|(node, _)| node.host.as_str()))
        .collect();
    html! {
        details.stage open {
            summary {
                b { (stage.name) } " "
                span.dim { (counted(stage.steps() as u64, "step")) " on " (counted(hosts.len() as u64, "host")) }
            }
            @for task in &stage.tasks {
                @let sentences = waits.ahead_of(task, told);
                @for sentence in &sentences { p.gate { (sentence) } }
                div.task {
                    h4 { (task.name) }
                    @for group in groups(plan, task) { (group.drawn()) }
                }
            }
        }
    }
}

/// So many steps of a group are in sight at once.
const LONG: usize = 12;

impl Group<'_> {
    fn drawn(&self) -> Markup {
        let steps = html! { ol { @for title in &self.titles { li { (title) } } } };
        html! {
            div.group {
                p.who {
                    @if self.role != self.hosts[0] { b { (self.role) } " " }
                    (folded(self.hosts.iter().copied()))
                    @if self.hosts.len() > 2 { span.dim { " (" (counted(self.hosts.len() as u64, "host")) ")" } }
                }
                @if self.titles.len() > LONG {
                    details.long { summary { (counted(self.titles.len() as u64, "step")) } (steps) }
                } @else { (steps) }
            }
        }
    }
}

fn groups<'a>(plan: &'a Plan<'a>, task: &Task<'a>) -> Vec<Group<'a>> {
    let mut by_host: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (node, _) in &task.nodes {
        let at = *known.entry(&node.host).or_insert_with(|| {
            by_host.push((&node.host, Vec::new()));
            by_host.len() - 1
        });
        by_host[at].1.push(&node.title);
    }
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut known: HashMap<(&str, Vec<String>), usize> = HashMap::new();
    for (host, titles) in by_host {
        let role = plan.role(host);
        let alike = titles.iter().map(|title| pattern(title, host)).collect();
        match known.entry((role, alike)) {
            std::collections::hash_map::Entry::Occupied(at) => groups[*at.get()].hosts.push(host),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(groups.len());
                groups.push(Group {
                    role,
                    hosts: vec![host],
                    titles,
                });
            }
        }
    }
    for group in &mut groups {
        group.hosts.sort_unstable_by(|a, b| natural(a, b));
    }
    groups
}

/// A title as any other host would have it: its name and all numbers are left open, such as those of an address.
fn pattern(title: &str, host: &str) -> String {
    let title = of_any_host(title, Some(host));
    title
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect()
}

/// What stands ahead of gates.
struct Waits<'a> {
    nodes: HashMap<usize, &'a LinkedNode>,
}

impl<'a> Waits<'a> {
    fn of(plan: &'a Plan<'a>) -> Self {
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

    /// The gates in front of a task of which nothing was told yet, in words.
    fn ahead_of(&self, task: &Task<'a>, told: &mut HashSet<usize>) -> Vec<String> {
        let ahead = task.nodes.iter().flat_map(|(_, after)| after.iter());
        let gates: Vec<usize> = ahead
            .copied()
            .filter(|id| matches!(self.nodes.get(id), Some(LinkedNode::Gate { .. })))
            .filter(|id| told.insert(*id))
            .collect();
        gates
            .into_iter()
            .filter_map(|id| self.sentence(id))
            .collect()
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
