//! The binary: arguments in, progress and reports out, exit codes. No logic.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod access;
mod act;
mod args;
mod bundles;
mod claim;
mod commands;
mod config;
mod confirm;
mod diagnostics;
mod dry;
mod error;
mod home;
mod input;
mod misuse;
mod output;
mod piece;
mod recorded;
mod run;
mod runtime;
mod secrets;
mod set;
mod signals;
mod signing;
mod site;
mod told_versions;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::output::{Paint, Printer, ProgressStyle};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misuse::told(error),
    };
    let global = cli.global;
    diagnostics::init(
        global.verbose,
        Paint::suited(global.color, &io::stderr()) == Paint::Colour,
    );
    let printer = Printer::new(
        global.output,
        global.color,
        ProgressStyle::suited(global.verbose),
    );
    match commands::run(cli.command, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit().into()
        }
    }
}
