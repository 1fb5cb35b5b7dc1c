//! What a run would do, told without doing it.

use pipeline::{DryNode, DryState};

use crate::error::Failure;
use crate::output::{Format, Printer, count};

/// The whole plan, and for each step whether it is needed.
pub fn show(nodes: &[DryNode], printer: &Printer) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        return Ok(printer.document(&nodes)?);
    }
    let views: Vec<_> = nodes.iter().map(|dry| dry.node.clone()).collect();
    let paint = printer.paint();
    let tree = pipeline::tree(&views, |view| {
        match nodes
            .iter()
            .find(|dry| dry.node.id == view.id)
            .map(|dry| &dry.state)
        {
            None | Some(DryState::Satisfied) => format!(": {}", paint.good("ok")),
            Some(DryState::Needed { reason }) => format!(": {} ({reason})", paint.warn("needed")),
            Some(DryState::Unknown { because }) => {
                format!(": {} ({because})", paint.bad("cannot tell"))
            }
        }
    });
    let needed = nodes
        .iter()
        .filter(|dry| dry.state != DryState::Satisfied)
        .count();
    let (steps, needed) = (
        count(nodes.len() as u64, "step"),
        count(needed as u64, "step"),
    );
    printer.result(format_args!(
        "{tree}\n{steps}; {needed} to do. Nothing was changed."
    ))?;
    Ok(())
}
