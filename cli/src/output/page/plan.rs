//! The page of a plan: stages in their order, what each does on whom, and what it waits for.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use maud::{Markup, html};
use pipeline::{LinkedNode, NodeView};

use super::names::folded;
use super::parts::{counted, grouped};
use super::waits::Waits;
use crate::output::wording::of_any_host;

/// What is drawn.
pub struct Plan<'a> {
    pub command: &'static str,
    pub cluster: &'a str,
    /// What it leads to, such as `Kubernetes v1.36.2`.
    pub aim: String,
    pub nodes: Vec<LinkedNode>,
    /// The roles of each host.
    pub roles: BTreeMap<String, String>,
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
    roles: Vec<&'a str>,
    hosts: Vec<&'a str>,
    /// What the first of them does.
    steps: Vec<(&'a NodeView, &'a [usize])>,
}

/// Steps of a host that are the same but for numbers.
struct Step<'a> {
    title: &'a str,
    waits: Vec<String>,
    others: usize,
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
            @for stage in &stages { (drawn(plan, stage, &waits)) }
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

fn drawn<'a>(plan: &'a Plan<'a>, stage: &Stage<'a>, waits: &Waits<'a>) -> Markup {
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
                div.task {
                    h4 { (task.name) }
                    @for group in groups(plan, task) { (group.drawn(waits)) }
                }
            }
        }
    }
}

/// So many steps of a group are in sight at once.
const LONG: usize = 12;

impl<'a> Group<'a> {
    fn drawn(&self, waits: &Waits) -> Markup {
        let steps = self.folded(waits);
        let list = html! {
            ol {
                @for step in &steps {
                    @for wait in &step.waits { li.gate { (wait) } }
                    li { (step.title) @if step.others > 0 { span.dim { " and " (grouped(step.others as u64)) " alike" } } }
                }
            }
        };
        let is_one = matches!((self.roles.as_slice(), self.hosts.as_slice()), ([role], [host]) if role == host);
        html! {
            div.group {
                p.who {
                    @if !is_one { b { (self.roles.join(", ")) } " " }
                    (folded(self.hosts.iter().copied()))
                    @if self.hosts.len() > 2 { span.dim { " (" (counted(self.hosts.len() as u64, "host")) ")" } }
                }
                @if steps.len() > LONG {
                    details.long { summary { (counted(self.steps.len() as u64, "step")) } (list) }
                } @else { (list) }
            }
        }
    }

    /// Its steps; where they are many, those that differ by numbers alone once.
    fn folded(&self, waits: &Waits) -> Vec<Step<'a>> {
        let is_long = self.steps.len() > LONG * 3;
        let mut folded: Vec<Step<'a>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for (node, after) in &self.steps {
            if is_long {
                match known.entry(pattern(&node.title, &node.host)) {
                    Entry::Occupied(at) => {
                        folded[*at.get()].others += 1;
                        continue;
                    }
                    Entry::Vacant(new) => new.insert(folded.len()),
                };
            }
            folded.push(Step {
                title: &node.title,
                waits: waits.ahead(after),
                others: 0,
            });
        }
        folded
    }
}

fn groups<'a>(plan: &'a Plan<'a>, task: &Task<'a>) -> Vec<Group<'a>> {
    let mut by_host: Vec<Vec<(&NodeView, &[usize])>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for &(node, after) in &task.nodes {
        let at = *known.entry(&node.host).or_insert_with(|| {
            by_host.push(Vec::new());
            by_host.len() - 1
        });
        by_host[at].push((node, after));
    }
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut known: HashMap<Vec<String>, usize> = HashMap::new();
    for steps in by_host {
        let host = steps[0].0.host.as_str();
        let alike = steps.iter().map(|(node, _)| pattern(&node.title, host));
        let at = *known.entry(alike.collect()).or_insert_with(|| {
            groups.push(Group {
                roles: Vec::new(),
                hosts: Vec::new(),
                steps,
            });
            groups.len() - 1
        });
        let (group, role) = (&mut groups[at], plan.role(host));
        group.hosts.push(host);
        if !group.roles.contains(&role) {
            group.roles.push(role);
        }
    }
    groups
}

/// A title as any other host would have it: its name and all numbers are left open, such as those of an address.
fn pattern(title: &str, host: &str) -> String {
    let mut pattern = String::with_capacity(title.len());
    for c in of_any_host(title, Some(host)).chars() {
        match c {
            '0'..='9' if pattern.ends_with('0') => {}
            '0'..='9' => pattern.push('0'),
            other => pattern.push(other),
        }
    }
    pattern
}
