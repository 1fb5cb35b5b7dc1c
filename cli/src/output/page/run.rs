//! The page of a run, from the top: what was asked, what came of it, and then what explains it.

use event::RunOutcome;
use maud::{Markup, html};

use super::fold::alike;
use super::model::{Model, State};
use super::parts::{Bar, axis, counted, grid, grouped, strip, time};
use super::path::{self, Link};
use super::{changes, failures, hosts, stages};

pub fn body(model: &Model) -> Markup {
    let path = path::decisive(model);
    html! {
        (head(model))
        (failures::section(model))
        @if let Some(path) = &path { (decided(model, path)) }
        (stages::section(model))
        (hosts::section(model))
        (changes::proofs(model))
        (changes::section(model))
        (changes::slowest(model))
        (foot(model))
    }
}

/// How the run ended: its class, sign and word.
fn verdict(outcome: Option<RunOutcome>) -> (&'static str, &'static str, &'static str) {
    match outcome {
        Some(RunOutcome::Done) => ("done", "\u{2713}", "done"),
        Some(RunOutcome::Failed) => ("failed", State::Failed.sign(), "not done"),
        Some(RunOutcome::Interrupted) => ("interrupted", State::Interrupted.sign(), "interrupted"),
        None => ("interrupted", "?", "not ended"),
    }
}

/// What came of it, in a sentence.
fn outcome(model: &Model) -> String {
    let run = model.run;
    let steps = counted(run.changed, "step");
    match run.outcome {
        Some(RunOutcome::Done) if run.changed == 0 => {
            "Everything was as it should be; nothing was changed.".to_owned()
        }
        Some(RunOutcome::Done) => format!("{steps} changed something, and nothing failed."),
        Some(RunOutcome::Failed) if run.failed == 0 => {
            format!("The run ended early; {steps} changed something.")
        }
        Some(RunOutcome::Failed) => format!(
            "{} failed, and {steps} changed something. Once that is mended, the same command goes on from here.",
            counted(run.failed, "step")
        ),
        Some(RunOutcome::Interrupted) => {
            format!("{steps} changed something. The same command goes on from here.")
        }
        None => "The report does not tell how it ended.".to_owned(),
    }
}

fn head(model: &Model) -> Markup {
    let run = model.run;
    let (class, sign, word) = verdict(run.outcome);
    let began = run
        .started
        .map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let counts = [
        (State::Changed, run.changed),
        (State::Satisfied, run.satisfied),
        (State::Failed, run.failed),
        (State::Skipped, run.skipped),
    ];
    html! {
        header {
            div.title {
                h1 { (run.command) " " b { (run.cluster) } }
                p.verdict.(class) { span.sign aria-hidden="true" { (sign) } " " (word) }
            }
            div.summary {
                div {
                    p.outcome { (outcome(model)) }
                    p.facts {
                        @if let Some(began) = began { span { (began) } }
                        span { "took " b { (time(run.took)) } }
                        span { (counted(model.machines(), "host")) }
                        span { "kubexm " (run.kubexm) }
                    }
                    ul.counts {
                        @for (state, count) in counts {
                            li.(state.class()).none[count == 0] {
                                span.sign aria-hidden="true" { (state.sign()) } " "
                                b { (grouped(count)) } " " (state.word())
                            }
                        }
                    }
                    (warnings(model))
                }
                (versions(model))
            }
        }
    }
}

/// So many warnings stand at the top.
const WARNINGS: usize = 8;

/// What will be trouble, though it was none.
fn warnings(model: &Model) -> Markup {
    let run = model.run;
    let warned = run.units.iter().filter(|unit| unit.warning.is_some());
    let doubts = alike(warned, |unit| unit.warning.as_deref().unwrap_or_default());
    let doubts = doubts.iter().map(|doubt| {
        let warning = doubt.first().warning.as_deref().unwrap_or_default();
        match doubt.hosts() {
            hosts if hosts.is_empty() => warning.to_owned(),
            hosts => format!("{hosts}: {warning}"),
        }
    });
    let all: Vec<String> = run.warnings.iter().cloned().chain(doubts).collect();
    html! {
        @if !all.is_empty() {
            ul.warnings {
                @for warning in all.iter().take(WARNINGS) { li { b { "warning: " } (warning) } }
                @if all.len() > WARNINGS { li.dim { "and " (all.len() - WARNINGS) " more" } }
            }
        }
    }
}

fn versions(model: &Model) -> Markup {
    let versions = &model.run.versions;
    let holds = versions
        .iter()
        .any(|of| of.held.is_some() && of.held != of.after);
    let word = |version: &Option<String>| version.clone().unwrap_or_else(|| "\u{2013}".to_owned());
    html! {
        @if !versions.is_empty() {
            table.versions {
                thead { tr {
                    th { "version of" } th { "before" }
                    @if holds { th { "in the bundle" } }
                    th { "after" }
                } }
                tbody {
                    @for of in versions {
                        @let same = of.before.is_some() && of.before == of.after;
                        tr.same[same] {
                            th { (of.name) }
                            td { (word(&of.before)) }
                            @if holds { td { (word(&of.held)) } }
                            td { @if same { "the same" } @else { b { (word(&of.after)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// So many links of the chain have a row; the others are summed up.
const LINKS: usize = 24;

fn decided(model: &Model, path: &[Link]) -> Markup {
    let total = model.total;
    let bars: Vec<Bar> = path
        .iter()
        .zip(["link", "link other"].iter().cycle())
        .map(|(link, class)| Bar {
            span: link.span,
            class,
            title: format!("{}, {}", place(link), time(link.span.length())),
        })
        .collect();
    let mut by_length: Vec<u64> = path.iter().map(|link| link.span.length()).collect();
    by_length.sort_unstable_by(|a, b| b.cmp(a));
    let least = by_length
        .get(LINKS)
        .map_or(0, |next| next + 1)
        .max(total / 200);
    let (shown, short): (Vec<&Link>, Vec<&Link>) =
        path.iter().partition(|link| link.span.length() >= least);
    let rest: u64 = short.iter().map(|link| link.span.length()).sum();
    html! {
        section #decided {
            h2 { "What decided the time" }
            p.note {
                "The chain of steps from the beginning to the end, each of which began when the one before it had ended. What is not in it had time to spare, unless --jobs kept it waiting."
            }
            div.timed style=(grid(total)) {
                table.path {
                    thead { tr { th { "stage" } th { "host" } th.wide { "longest step" } th.n { "at" } th.n { "took" } th.line { (axis(total)) } } }
                    tbody {
                        tr.all { th colspan="3" { "the chain" } td.n {} td.n { (time(total)) } td.line { (strip(&bars, total)) } }
                        @for link in &shown { (row(link, total)) }
                        @if !short.is_empty() {
                            tr.rest { td colspan="4" { (counted(short.len() as u64, "shorter link")) } td.n { (time(rest)) } td.line {} }
                        }
                    }
                }
            }
        }
    }
}

fn place(link: &Link) -> String {
    let first = link.first();
    match &first.host {
        Some(host) => format!("{} {host}: {}", first.stage, link.longest().title),
        None => format!("{}: {}", first.stage, link.longest().title),
    }
}

/// Less is no wait.
const WAIT: u64 = 500;

fn row(link: &Link, total: u64) -> Markup {
    let (first, longest) = (link.first(), link.longest());
    let others = link.units.len() as u64 - 1;
    let bar = Bar {
        span: link.span,
        class: link.state().class(),
        title: format!("{}, {}", place(link), time(link.span.length())),
    };
    html! {
        tr {
            td { (first.stage) }
            td { (first.host.as_deref().unwrap_or("")) }
            td.wide {
                (longest.title)
                @if others > 0 {
                    span.dim { " (" (time(longest.took.unwrap_or_default())) "), and " (counted(others, "other")) }
                }
                @if link.waited > WAIT {
                    span.dim { "; began " (time(link.waited)) " later" }
                }
            }
            td.n { (time(link.span.from)) }
            td.n { (time(link.span.length())) }
            td.line { (strip(&[bar], total)) }
        }
    }
}

fn foot(model: &Model) -> Markup {
    html! {
        footer {
            p.legend {
                @for state in State::ALL {
                    span { span.bar.(state.class()) {} " " (super::parts::state(state)) }
                }
            }
            p {
                "Times are counted from the beginning of the run. Hosts that fared alike share a row, and steps that say the same are told once. "
                "All of it as data is in the report, and each command of each host in its log; both lie in the state directory of the cluster " b { (model.run.cluster) } "."
            }
        }
    }
}
