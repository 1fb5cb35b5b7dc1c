//! Reads configs from where a person keeps them.

use std::io::{self, Read};
use std::{fs, mem};

use camino::{Utf8Path, Utf8PathBuf};
use cluster::Parsed;

use crate::error::Failure;
use crate::output::Printer;

/// A config that can be used, and what messages call it.
#[derive(Debug)]
pub struct Config {
    pub name: Utf8PathBuf,
    pub parsed: Parsed,
}

/// Reads a config, `-` from stdin, and says what its writer should know.
pub fn load(path: &Utf8Path, printer: &Printer) -> Result<Config, Failure> {
    let (name, bytes) = read(path)?;
    understand(name, bytes, printer)
}

/// The same for a config that has been read already.
pub fn understand(name: Utf8PathBuf, bytes: Vec<u8>, printer: &Printer) -> Result<Config, Failure> {
    let text = text(&name, bytes)?;
    let mut parsed = cluster::parse(name.as_str(), &text)
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    for problem in mem::take(&mut parsed.warnings) {
        printer.problem(&problem.render(name.as_str()));
    }
    Ok(Config { name, parsed })
}

impl Config {
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
    let stdin = path == "-";
    let name = if stdin {
        Utf8PathBuf::from("stdin")
    } else {
        path.to_owned()
    };
    match if stdin { from_stdin() } else { fs::read(path) } {
        Ok(bytes) => Ok((name, bytes)),
        Err(source) => Err(Failure::Read { path: name, source }),
    }
}

fn text(name: &Utf8Path, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        not_text(name, valid, error.as_bytes())
    })
}

fn from_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_text(name: &Utf8Path, valid: usize, bytes: &[u8]) -> Failure {
    let line = 1 + bytes[..valid].split(|byte| *byte == b'\n').skip(1).count();
    Failure::Usage {
        message: format!("{name}:{line}: this is no UTF-8 text"),
        hint: Some(format!("save it as UTF-8, e.g. iconv -t UTF-8 {name}")),
    }
}
