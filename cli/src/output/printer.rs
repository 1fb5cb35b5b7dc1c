use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;

use clap::ColorChoice;
use event::{Events, Sink};
use indicatif::ProgressDrawTarget;
use serde::Serialize;

use super::bars::{self, Bars};
use super::harmless::{self, Harmless};
use super::json::Json;
use super::lines::{Detail, Lines};
use super::report::Written;
use super::summary::Summary;
use super::{Format, Paint, Report, wording};
use crate::error::{ErrorEvent, Failure};

/// Decides what goes where and in which form. There is one, made from the global flags.
#[derive(Debug)]
pub struct Printer {
    format: Format,
    style: ProgressStyle,
    out: Paint,
    err: Paint,
}

/// How a run is shown while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressStyle {
    Bars,
    Lines(Detail),
}

impl ProgressStyle {
    /// Bars on a terminal that can draw them and that nothing else writes to.
    pub fn suited(verbose: u8) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match verbose {
            0 if !dumb && io::stderr().is_terminal() => Self::Bars,
            0 => Self::Lines(Detail::Tasks),
            _ => Self::Lines(Detail::Steps),
        }
    }
}

#[allow(
    clippy::unused_self,
    reason = "nothing else writes, whatever of it must be known for that"
)]
impl Printer {
    pub fn new(format: Format, color: ColorChoice, style: ProgressStyle) -> Self {
        let (out, err) = (
            Paint::suited(color, &io::stdout()),
            Paint::suited(color, &io::stderr()),
        );
        Self {
            format,
            style,
            out,
            err,
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The colours of stdout.
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// The result, as text.
    pub fn result(&self, text: impl Display) -> io::Result<()> {
        self.text(format_args!("{text}\n"))
    }

    /// The result as data: one JSON document on one line, whatever events went before it.
    pub fn document(&self, value: &impl Serialize) -> io::Result<()> {
        self.json(|out| serde_json::to_writer(out, value))
    }

    /// The result as a JSON file that people read as well; one line where the output is to be that.
    pub fn file(&self, value: &impl Serialize) -> io::Result<()> {
        match self.format {
            Format::Json => self.document(value),
            Format::Text => self.json(|out| serde_json::to_writer_pretty(out, value)),
        }
    }

    /// JSON as it is made, a line at the end; nothing in it does anything to a terminal.
    fn json(&self, make: impl Fn(&mut dyn Write) -> serde_json::Result<()>) -> io::Result<()> {
        if io::stdout().is_terminal() {
            let mut text = Vec::new();
            make(&mut text)?;
            text.push(b'\n');
            return self.json_bytes(&text);
        }
        self.write(|out| {
            make(out)?;
            writeln!(out)
        })
    }

    /// The result as text with its own ends of lines.
    pub fn text(&self, text: impl Display) -> io::Result<()> {
        self.raw(harmless::painted(&text.to_string()).as_bytes())
    }

    /// The bytes of a JSON file as they are, unless they are for a terminal.
    pub fn json_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        if io::stdout().is_terminal() {
            let text = String::from_utf8_lossy(bytes);
            return self.raw(harmless::json(&text).as_bytes());
        }
        self.raw(bytes)
    }

    /// The result, as bytes that another program reads.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(|out| out.write_all(bytes))
    }

    /// Writes the result as it comes: it may be larger than what anybody wants to hold.
    fn write(&self, what: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        match what(&mut out).and_then(|()| out.flush()) {
            // `kubexm check ... | head` has what it wanted. How the command ended is for its exit code all the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What is left of it has nowhere to go.
                let _ = out.into_parts();
                Ok(())
            }
            written => written,
        }
    }

    /// A remark that is no part of the result.
    pub fn remark(&self, text: impl Display) {
        // Whoever closed stderr does not want to know.
        let _ = writeln!(io::stderr(), "{}", harmless::painted(&text.to_string()));
    }

    /// A warning before a run has begun, or outside of one.
    pub fn warning(&self, text: impl Display) {
        self.remark(format_args!("{} {text}", self.err.warn("warning:")));
    }

    /// A remark on a config, as `cluster` words it.
    pub fn problem(&self, text: &str) {
        self.remark(wording::problem(text, self.err));
    }

    /// The end of a command that did not succeed.
    pub fn failure(&self, failure: &Failure) {
        if let Failure::Told(_) = failure {
            return;
        }
        if !matches!((failure, self.format), (Failure::Summed(_), Format::Text)) {
            self.remark(failure.told(self.err));
        }
        if self.format == Format::Json {
            // Whoever reads the events learns it from there; if nobody does any more, there is stderr.
            let _ = self.document(&ErrorEvent::from(failure));
        }
    }

    /// Where a run tells what happens, to `others` as well; it ends with a summary.
    pub fn run(&self, others: Vec<Arc<dyn Sink>>) -> Events {
        let mut sinks = vec![self.watched()];
        if self.format == Format::Text {
            let summary = Summary::new(io::stderr(), self.err);
            sinks.push(Arc::new(Harmless(Arc::new(summary))));
        }
        sinks.extend(others);
        Events::to(sinks)
    }

    /// Where a run tells what happens that has a result of its own to end with.
    pub fn watch(&self, others: Vec<Arc<dyn Sink>>) -> Events {
        let sinks = [self.watched()].into_iter().chain(others);
        Events::to(sinks.collect())
    }

    /// Where work of a single piece tells how it goes on.
    pub fn work(&self) -> Events {
        self.watch(Vec::new())
    }

    fn watched(&self) -> Arc<dyn Sink> {
        match (self.format, self.style) {
            (Format::Json, _) => Arc::new(Json::new(io::stdout())),
            (Format::Text, ProgressStyle::Bars) => {
                let target = ProgressDrawTarget::stderr_with_hz(10);
                let bars = Bars::new(target, Some(bars::TICK), self.err);
                Arc::new(Harmless(Arc::new(bars)))
            }
            (Format::Text, ProgressStyle::Lines(detail)) => {
                let lines = Lines::new(io::stderr(), detail, self.err);
                Arc::new(Harmless(Arc::new(lines)))
            }
        }
    }

    /// Says where the report lies, or why there is none.
    pub fn reported(&self, report: &Report) {
        match report.take_written() {
            Some(Ok(Written { page: Ok(page), .. })) => self.remark(format_args!("report: {page}")),
            Some(Ok(Written {
                data,
                page: Err(error),
            })) => {
                self.remark(format_args!("report: {data}"));
                self.warning(format_args!("the report's page was not written: {error}"));
            }
            Some(Err(error)) => {
                self.warning(format_args!("the run's report was not written: {error}"));
            }
            None => {}
        }
    }
}
