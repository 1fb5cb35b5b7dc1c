//! Somebody who has to type a cluster's name before something of it is lost.

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal};

use crate::error::Failure;
use crate::output::Printer;

/// What is about to happen.
pub struct Consequence<'a> {
    pub cluster: &'a str,
    /// "shall be deleted"
    pub what: &'a str,
    /// Where to look before.
    pub look: &'a str,
}

/// Shows it, and goes on only if the cluster's name is typed.
pub fn insist(of: &Consequence<'_>, told: impl Display, printer: &Printer) -> Result<(), Failure> {
    let name = of.cluster;
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage {
            message: format!("nobody is there to confirm that {name} {}", of.what),
            hint: Some(format!("say --yes; {}", of.look)),
        });
    }
    printer.remark(format_args!("{told}\nType the cluster's name to go on:"));
    let mut typed = String::new();
    io::stdin()
        .lock()
        .read_line(&mut typed)
        .map_err(|source| Failure::Read {
            path: "stdin".into(),
            source,
        })?;
    if typed.trim() == name {
        return Ok(());
    }
    Err(Failure::Usage {
        message: format!(
            "'{}' is not the cluster's name; nothing was changed",
            typed.trim()
        ),
        hint: None,
    })
}
