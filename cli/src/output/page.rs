//! Pages for people: one file each, of which nothing is loaded from elsewhere and in which nothing runs.
//!
//! What a host, a bundle or a config says is escaped by the type that it is put in with; only the style is put in as it is.

mod changes;
mod failures;
mod fold;
mod hosts;
mod model;
mod names;
mod parts;
mod path;
mod plan;
mod run;
mod stages;
#[cfg(test)]
mod tests;
mod waits;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use plan::Plan;

use super::harmless;
use super::report::Run;
use model::Model;

const STYLE: &str = include_str!("page/style.css");
/// The browser is told to load nothing, whatever the page says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
/// What each page says of itself.
const MADE_BY: &str = concat!("kubexm ", env!("CARGO_PKG_VERSION"));

/// The page of a run.
pub fn of_run(run: &Run) -> String {
    let model = Model::of(run);
    let title = format!("{} {}", run.command, run.cluster);
    page(&title, &run::body(&model))
}

/// The page of a plan.
pub fn of_plan(plan: &Plan) -> String {
    let title = format!("plan of {} {}", plan.command, plan.cluster);
    page(&title, &plan::body(plan))
}

/// Whether a file is a page of kubexm's, by how it begins.
pub fn is_page(beginning: &[u8]) -> bool {
    let text = String::from_utf8_lossy(beginning);
    text.starts_with("<!DOCTYPE html>")
        && text.contains("<meta name=\"generator\" content=\"kubexm ")
}

fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="generator" content=(MADE_BY);
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    // No text turns the direction of writing round, or hides.
    harmless::lines(&page.into_string()).into_owned()
}
