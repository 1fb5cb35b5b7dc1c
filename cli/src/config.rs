//! Reads configs from where a person keeps them.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use cluster::{Arch, Parsed, Problem};

use crate::error::Failure;
use crate::input;
use crate::output::Printer;

/// A config that can be used, and what messages call it.
#[derive(Debug)]
pub struct Config {
    pub name: Utf8PathBuf,
    pub parsed: Parsed,
}

/// Reads a config, `-` from stdin and any pipe, and says what its writer should know.
pub fn load(path: &Utf8Path, printer: &Printer) -> Result<Config, Failure> {
    let (name, bytes) = read(path)?;
    understand(name, bytes, printer)
}

/// The same for a config that has been read already.
pub fn understand(name: Utf8PathBuf, bytes: Vec<u8>, printer: &Printer) -> Result<Config, Failure> {
    let text = input::text(&name, bytes)?;
    let parsed = cluster::parse(name.as_str(), &text)
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    for problem in &parsed.warnings {
        printer.problem(&problem.render(name.as_str()));
    }
    Ok(Config { name, parsed })
}

impl Config {
    /// Fails where no bundle can be made of it, whatever the network answers; gives what its writer should know of that.
    pub fn require_bundle(&self, arches: &[Arch]) -> Result<Vec<Problem>, Failure> {
        let arches = arches.iter().copied().collect();
        let found = bundler::check(&self.parsed.cluster, &arches);
        let problems = self.parsed.locate(found);
        if problems.errors().next().is_some() {
            return Err(Failure::Config(Box::new(problems)));
        }
        Ok(problems.list().to_vec())
    }

    /// One sentence naming the keys that are written and do nothing yet.
    pub fn not_yet_acting(&self) -> Option<String> {
        let keys: Vec<String> = self
            .parsed
            .not_yet_acting()
            .iter()
            .map(ToString::to_string)
            .collect();
        let list = keys.join("\n    ");
        (!keys.is_empty()).then(|| {
            format!(
                "{} asks for what this version does not do yet:\n    {list}",
                self.name
            )
        })
    }
}

fn read(path: &Utf8Path) -> Result<(Utf8PathBuf, Vec<u8>), Failure> {
    if path != "-" {
        let bytes = input::read(path)?;
        // Nothing can lie beside a pipe of a shell, whose name is a number.
        let name = if input::is_pipe(path) {
            Utf8Path::new("pipe")
        } else {
            path
        };
        return Ok((name.to_owned(), bytes));
    }
    let name = Utf8PathBuf::from("stdin");
    let bytes = input::whole(&name, io::stdin().lock())?;
    Ok((name, bytes))
}
