//! Asks whether what cannot be taken back shall be done.

use std::io::{self, BufRead, IsTerminal};

use crate::error::Failure;
use crate::output::Printer;

/// Shows what would be done, and goes on only if the cluster's name is typed.
pub fn by_name(name: &str, what: &str, shown: &str, printer: &Printer) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Usage {
            message: format!("nobody is there to confirm that {what}"),
            hint: Some("say --yes; see before what --dry-run shows".to_owned()),
        });
    }
    printer.remark(format_args!("{shown}\nType the cluster's name to go on:"));
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
