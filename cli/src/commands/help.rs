use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::error::{Failure, words};
use crate::output::Printer;

/// The same as `--help` behind the verb.
pub fn run(verb: &[String], printer: &Printer) -> Result<(), Failure> {
    let verb = verb.iter().map(String::as_str);
    let args = ["kubexm"].into_iter().chain(verb).chain(["--help"]);
    match Cli::command().try_get_matches_from(args) {
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            Ok(printer.raw(error.render().to_string().as_bytes())?)
        }
        Err(error) => Err(Failure::Usage {
            message: words(&error),
            hint: Some("kubexm --help lists what there is".to_owned()),
        }),
        Ok(_) => Ok(()),
    }
}
