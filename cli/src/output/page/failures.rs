//! What went wrong: where, why, what to do, and what it has kept from being done.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::fold::{Alike, alike};
use super::model::{Model, State};
use super::names::folded;
use super::parts::{counted, time};
use crate::output::report::{End, Ended};

/// So many different failures are told in full.
const TOLD: usize = 50;

pub fn section(model: &Model) -> Markup {
    let failed = model.run.units.iter();
    let failed = failed.filter(|unit| State::of(&unit.end) == State::Failed);
    let failures = alike(failed, |unit| error(unit).0);
    let skipped = skipped(model);
    let error = model.run.error.as_deref().filter(|_| failures.is_empty());
    html! {
        @if !failures.is_empty() || !skipped.is_empty() || error.is_some() {
            section #failures {
                @if !failures.is_empty() || error.is_some() { h2 { "What failed" } }
                @if let Some(error) = error { article.failure { pre.error { (error) } } }
                @for failure in failures.iter().take(TOLD) { (card(failure)) }
                @if failures.len() > TOLD {
                    p.note { (counted((failures.len() - TOLD) as u64, "more failure")) " are in the report." }
                }
                @if !skipped.is_empty() {
                    h3 { "Not begun" }
                    ul.skipped {
                        @for (because, (count, hosts)) in &skipped {
                            li {
                                b { (counted(*count, "step")) }
                                @if !hosts.is_empty() { " on " (folded(hosts.iter().copied())) }
                                ": " (because)
                            }
                        }
                    }
                }
            }
        }
    }
}

fn error(unit: &Ended) -> (&str, Option<&str>) {
    match &unit.end {
        End::Failed { error, hint } => (error, hint.as_deref()),
        _ => ("", None),
    }
}

fn card(failure: &Alike) -> Markup {
    let first = failure.first();
    let (error, hint) = error(first);
    let logged = failure.units.iter().find(|unit| !unit.log.is_empty());
    html! {
        article.failure {
            h3 {
                span.sign aria-hidden="true" { (State::Failed.sign()) } " "
                @match failure.units.len() {
                    1 => (first.host.as_deref().unwrap_or("")),
                    many => { (failure.hosts()) span.dim { " " (counted(many as u64, "host")) } }
                }
                " " span.step { (first.title) }
            }
            p.where {
                (first.stage)
                @if let Some(task) = &first.task { " \u{203a} " (task) }
                @if let Some(took) = first.took { " \u{b7} after " (time(took)) }
                @if let Some(tries) = first.tries { " \u{b7} tried " (tries) " times" }
            }
            pre.error { (error) }
            @if let Some(hint) = hint { p.hint { b { "hint: " } (hint) } }
            @if let Some(unit) = logged {
                details {
                    summary { "last lines of the log of " (unit.host.as_deref().unwrap_or("its host")) }
                    pre.log { (unit.log.join("\n")) }
                }
            }
        }
    }
}

/// Why steps were not begun, how many, and on which hosts.
fn skipped<'a>(model: &'a Model) -> BTreeMap<&'a str, (u64, BTreeSet<&'a str>)> {
    let mut skipped: BTreeMap<&str, (u64, BTreeSet<&str>)> = BTreeMap::new();
    for unit in &model.run.units {
        if let End::Skipped { because } = &unit.end {
            let (count, hosts) = skipped.entry(because).or_default();
            *count += 1;
            hosts.extend(unit.host.as_deref());
        }
    }
    skipped
}
