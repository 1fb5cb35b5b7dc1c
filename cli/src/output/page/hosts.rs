//! How each host fared in each stage, and when.

use maud::{Markup, html};

use super::fold::{Row, rows};
use super::model::{Host, Model, State, Tally};
use super::names::folded;
use super::parts::{Bar, axis, counted, grid, grouped, strip, time};

/// So many of the slowest hosts are named where there are many.
const SLOWEST: usize = 8;

pub fn section(model: &Model) -> Markup {
    let (rows, left) = rows(model);
    html! {
        @if !rows.is_empty() {
            section #hosts {
                h2 { "Hosts" }
                div.timed style=(grid(model.total)) {
                    table.hosts {
                        thead {
                            tr {
                                th { "host" }
                                th.line { (axis(model.total)) }
                                @for stage in met(model) { th.cell { span { (model.stages[stage].name) } } }
                                th.n title="how long its steps took together; of several hosts, the longest" { "at work" }
                            }
                        }
                        tbody { @for row in &rows { (drawn(model, row)) } }
                    }
                }
                @if left > 0 {
                    p.note { (counted(left as u64, "more host")) " are in no row of this page; the report has all." }
                }
                @if rows.len() < model.hosts.len() { (slowest(model)) }
            }
        }
    }
}

/// The stages in which hosts take part.
fn met(model: &Model) -> impl Iterator<Item = usize> {
    (0..model.stages.len()).filter(|stage| model.stages[*stage].hosts > 0)
}

fn drawn(model: &Model, row: &Row) -> Markup {
    let bars: Vec<Bar> = row
        .cells
        .iter()
        .zip(&model.stages)
        .filter_map(|(cell, stage)| {
            let (state, span) = (cell.state()?, cell.span?);
            Some(Bar {
                span,
                class: state.class(),
                title: format!("{}: {}, {}", stage.name, state.word(), time(span.length())),
            })
        })
        .collect();
    let names = folded(row.names.iter().copied());
    html! {
        tr {
            th {
                (names)
                @if row.names.len() > 1 { span.dim { " " (counted(row.names.len() as u64, "host")) } }
            }
            td.line { (strip(&bars, model.total)) }
            @for stage in met(model) { (crossing(&row.cells[stage], model.stages[stage].name)) }
            td.n { (time(row.longest)) }
        }
    }
}

/// Where a host meets a stage.
fn crossing(cell: &Tally, stage: &str) -> Markup {
    let Some(worst) = cell.state() else {
        return html! { td.cell {} };
    };
    let count = match worst {
        State::Partly => cell.count(State::Skipped),
        worst => cell.count(worst),
    };
    let all: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| cell.count(*state) > 0)
        .map(|state| format!("{} {}", grouped(cell.count(state)), state.word()))
        .collect();
    html! {
        td.cell.(worst.class()) title=(format!("{stage}: {}", all.join(", "))) {
            span.sign { (worst.sign()) }
            @if worst != State::Satisfied { (short(count)) }
        }
    }
}

/// `12`, `3k`: it has little room.
fn short(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

fn slowest(model: &Model) -> Markup {
    let mut hosts: Vec<&Host> = model.hosts.iter().collect();
    hosts.sort_by_key(|host| std::cmp::Reverse(host.tally.work));
    let list: Vec<String> = hosts
        .into_iter()
        .take(SLOWEST)
        .map(|host| format!("{} ({})", host.name, time(host.tally.work)))
        .collect();
    html! {
        p.note { "Longest at work: " (list.join(", ")) "." }
    }
}
