//! When each stage was at work.

use maud::{Markup, html};

use super::model::{Model, Stage, State};
use super::parts::{Bar, axis, grid, number, state, strip, time};

pub fn section(model: &Model) -> Markup {
    html! {
        @if !model.stages.is_empty() {
            section #stages {
                h2 { "Stages" }
                div.timed style=(grid(model.total)) {
                    table {
                        thead {
                            tr {
                                th { "stage" } th { "outcome" } th.n { "hosts" }
                                @for state in COUNTED { th.n { (state.word()) } }
                                th.n { "took" } th.line { (axis(model.total)) }
                            }
                        }
                        tbody { @for stage in &model.stages { (row(stage, model.total)) } }
                    }
                }
            }
        }
    }
}

const COUNTED: [State; 4] = [
    State::Changed,
    State::Satisfied,
    State::Failed,
    State::Skipped,
];

fn row(stage: &Stage, total: u64) -> Markup {
    let worst = stage.tally.state().unwrap_or(State::Skipped);
    let bar = stage.tally.span.map(|span| Bar {
        span,
        class: worst.class(),
        title: format!("{}: {}, {}", stage.name, worst.word(), time(span.length())),
    });
    html! {
        tr {
            th { (stage.name) }
            td { (state(worst)) }
            td.n { (number(stage.hosts as u64)) }
            @for state in COUNTED { td.n { (number(stage.tally.count(state))) } }
            td.n { @if stage.tally.span.is_some() { (time(stage.tally.length())) } @else { span.nought { "\u{2013}" } } }
            td.line { (strip(&bar.into_iter().collect::<Vec<_>>(), total)) }
        }
    }
}
