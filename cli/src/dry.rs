//! What a run would do, told without doing it.

use std::collections::BTreeMap;

use pipeline::{CONTROL_PLANE, DryNode, DryState, ETCD, Graph, OPERATOR};

use crate::error::Failure;
use crate::output::{Format, Printer, count, harmless};

/// The steps of a plan.
pub fn tree(graph: &Graph) -> String {
    pipeline::tree(graph.views().map(harmless::line))
}

/// The whole plan, and for each step whether it is needed.
pub fn show(nodes: &[DryNode], printer: &Printer) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        return Ok(printer.document(&nodes)?);
    }
    let paint = printer.paint();
    let tree = pipeline::tree(nodes.iter().map(|dry| {
        let mut line = harmless::line(dry.node.clone());
        let found = match &dry.state {
            DryState::Satisfied => format!(": {}", paint.good("ok")),
            DryState::Needed { reason } => {
                let reason = harmless::word(reason);
                format!(": {} ({reason})", paint.warn("needed"))
            }
            DryState::Unknown { because } => {
                let because = harmless::word(because);
                format!(": {} ({because})", paint.bad("cannot tell"))
            }
        };
        line.text.push_str(&found);
        line
    }));
    printer.result(format_args!("{tree}\n{}", sum(nodes)))?;
    Ok(())
}

/// `360 steps; 4 to do, 307 cannot be told: 4 hosts do not answer. Nothing was changed.`
fn sum(nodes: &[DryNode]) -> String {
    let number = |is: fn(&DryState) -> bool| nodes.iter().filter(|dry| is(&dry.state)).count();
    let all = count(nodes.len() as u64, "step");
    let needed = number(|state| matches!(state, DryState::Needed { .. }));
    let untold = match number(is_untold) {
        0 => String::new(),
        untold => format!(", {untold} cannot be told{}", silence(nodes)),
    };
    format!("{all}; {needed} to do{untold}. Nothing was changed.")
}

fn is_untold(state: &DryState) -> bool {
    matches!(state, DryState::Unknown { .. })
}

/// The hosts that could not tell the first that they were asked.
fn silence(nodes: &[DryNode]) -> String {
    let machine =
        |dry: &&DryNode| ![OPERATOR, CONTROL_PLANE, ETCD].contains(&dry.node.host.as_str());
    let mut first: BTreeMap<&str, &DryState> = BTreeMap::new();
    for dry in nodes.iter().filter(machine) {
        first.entry(&dry.node.host).or_insert(&dry.state);
    }
    match first.values().filter(|state| is_untold(state)).count() {
        0 => String::new(),
        1 => ": 1 host does not answer".to_owned(),
        many => format!(": {many} hosts do not answer"),
    }
}
