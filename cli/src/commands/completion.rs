use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(shell: Shell, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubexm", &mut script);
    Ok(printer.raw(&script)?)
}
