//! What was changed, what was proven, and what took long: alike steps of many hosts once.

use maud::{Markup, html};

use super::fold::{Alike, alike};
use super::model::{Model, Stage, State};
use super::parts::{counted, time};
use crate::output::report::{End, Ended};

/// So many different changes of a stage are told.
const CHANGES: usize = 150;
/// So many different proofs.
const PROOFS: usize = 200;
const SLOWEST: usize = 12;

pub fn section(model: &Model) -> Markup {
    let stages: Vec<&Stage> = model
        .stages
        .iter()
        .filter(|stage| stage.tally.count(State::Changed) > 0)
        .collect();
    html! {
        @if !stages.is_empty() {
            section #changes {
                h2 { "What was changed" }
                @for stage in stages { (of_stage(model, stage)) }
            }
        }
    }
}

fn reason(unit: &Ended) -> &str {
    match &unit.end {
        End::Changed { reason } => reason,
        _ => "",
    }
}

fn of_stage(model: &Model, stage: &Stage) -> Markup {
    let units = model
        .run
        .units
        .iter()
        .filter(|unit| unit.stage == stage.name && State::of(&unit.end) == State::Changed);
    let changes = alike(units, reason);
    html! {
        details {
            summary {
                b { (stage.name) } " "
                span.dim { (counted(stage.tally.count(State::Changed), "change")) }
            }
            table.changes {
                thead { tr { th { "task" } th.wide { "step" } th.wide { "because" } th { "hosts" } th.n { "took at most" } } }
                tbody {
                    @for change in changes.iter().take(CHANGES) {
                        @let first = change.first();
                        tr {
                            td { (first.task.as_deref().unwrap_or("")) }
                            td.wide { (first.title) }
                            td.wide { (reason(first)) }
                            td { (hosts(change)) }
                            td.n { (time(change.times().0.took.unwrap_or_default())) }
                        }
                    }
                }
            }
            @if changes.len() > CHANGES {
                p.note { (counted((changes.len() - CHANGES) as u64, "more change")) " are in the report." }
            }
        }
    }
}

fn hosts(alike: &Alike) -> Markup {
    html! {
        (alike.hosts())
        @if alike.units.len() > 2 { span.dim { " (" (alike.units.len()) ")" } }
    }
}

/// What a unit has seen, or what it warns of.
fn said(unit: &Ended) -> &str {
    let said = unit.warning.as_deref().or(unit.seen.as_deref());
    said.unwrap_or_default()
}

pub fn proofs(model: &Model) -> Markup {
    let seen = |unit: &&Ended| unit.seen.is_some() || unit.warning.is_some();
    let mut proofs = alike(model.run.units.iter().filter(seen), said);
    // What is trouble, or will be, first.
    proofs.sort_by_key(|proof| {
        let first = proof.first();
        let failed = State::of(&first.end) == State::Failed;
        (!failed, first.warning.is_none())
    });
    html! {
        @if !proofs.is_empty() {
            section #proofs {
                h2 { "What was seen and proven" }
                table.proofs {
                    thead { tr { th { "" } th.wide { "proof" } th.wide { "seen" } th { "hosts" } } }
                    tbody {
                        @for proof in proofs.iter().take(PROOFS) {
                            @let first = proof.first();
                            @let failed = State::of(&first.end) == State::Failed;
                            tr.warned[first.warning.is_some()] {
                                td.mark {
                                    @if failed { span.state.failed { (State::Failed.sign()) " failed" } }
                                    @else if first.warning.is_some() { span.state.interrupted { "! warning" } }
                                    @else { span.state.ok { "\u{2713} ok" } }
                                }
                                td.wide { (first.title) }
                                td.wide.said { (said(first)) }
                                td { (hosts(proof)) }
                            }
                        }
                    }
                }
                @if proofs.len() > PROOFS {
                    p.note { (counted((proofs.len() - PROOFS) as u64, "more proof")) " are in the report." }
                }
            }
        }
    }
}

pub fn slowest(model: &Model) -> Markup {
    let timed = model.run.units.iter().filter(|unit| unit.took.is_some());
    let mut steps: Vec<(&Ended, u64, Alike)> = alike(timed, |_| "")
        .into_iter()
        .map(|alike| {
            let (longest, median) = alike.times();
            (longest, median, alike)
        })
        .filter(|(longest, ..)| longest.took > Some(0))
        .collect();
    steps.sort_by_key(|(longest, ..)| std::cmp::Reverse(longest.took));
    html! {
        @if !steps.is_empty() {
            section #slowest {
                h2 { "Slowest steps" }
                table.slowest {
                    thead { tr { th { "stage" } th.wide { "step" } th.n { "hosts" } th.n { "median" } th.n { "longest" } th { "on" } } }
                    tbody {
                        @for (longest, median, alike) in steps.iter().take(SLOWEST) {
                            tr {
                                td { (longest.stage) }
                                td.wide { (longest.title) }
                                td.n { (alike.units.len()) }
                                td.n { (time(*median)) }
                                td.n { b { (time(longest.took.unwrap_or_default())) } }
                                td { (longest.host.as_deref().unwrap_or("")) }
                            }
                        }
                    }
                }
            }
        }
    }
}
