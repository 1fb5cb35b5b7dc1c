//! The verbs of `kubexm certs`, one file each.

mod check;
mod renew;
mod rotate_ca;

use crate::args::CertsCommand;
use crate::error::Failure;
use crate::output::Printer;

pub fn run(command: &CertsCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        CertsCommand::Check(args) => check::run(args, printer),
        CertsCommand::Renew(args) => renew::run(args, printer),
        CertsCommand::RotateCa(args) => rotate_ca::run(args, printer),
    }
}
