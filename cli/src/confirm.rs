//! What cannot be taken back is asked for once more.

use std::io::{self, BufRead, IsTerminal};

use crate::error::Failure;
use crate::output::Printer;

/// A question that only somebody who means it answers.
pub struct Question<'a> {
    /// "demo shall be deleted"
    pub what: String,
    /// What would be done, and what to type.
    pub told: String,
    pub word: &'a str,
    /// "the cluster's name"
    pub of: &'static str,
}

impl Question<'_> {
    /// Goes on only if the word is typed.
    pub fn ask(self, printer: &Printer) -> Result<(), Failure> {
        let Self {
            what,
            told,
            word,
            of,
        } = self;
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::Usage {
                message: format!("nobody is there to confirm that {what}"),
                hint: Some("say --yes; see before what --dry-run shows".to_owned()),
            });
        }
        printer.remark(format_args!("{told}"));
        let mut typed = String::new();
        io::stdin()
            .lock()
            .read_line(&mut typed)
            .map_err(|source| Failure::Read {
                path: "stdin".into(),
                source,
            })?;
        if typed.trim() == word {
            return Ok(());
        }
        Err(Failure::Usage {
            message: format!("'{}' is not {of}; nothing was changed", typed.trim()),
            hint: None,
        })
    }
}
