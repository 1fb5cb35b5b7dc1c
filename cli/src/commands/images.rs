//! The verbs of `kubexm images`, one file each.

mod list;
mod prune;
mod push;

use pipeline::{ImageLook, Site};

use crate::args::{AccessArgs, ImagesCommand};
use crate::error::Failure;
use crate::output::Printer;
use crate::{access, runtime, signals};

pub fn run(command: &ImagesCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        ImagesCommand::Push(args) => push::run(args, printer),
        ImagesCommand::List(args) => list::run(args, printer),
        ImagesCommand::Prune(args) => prune::run(args, printer),
    }
}

/// The images in the site's registry, and who names them.
fn look(site: &Site, reached_by: &AccessArgs, printer: &Printer) -> Result<ImageLook, Failure> {
    let inventory = pipeline::inventory(&site.cluster, &access::of(reached_by))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let cancel = signals::watch(printer.work())?;
    let asked = pipeline::look_at_images(site, &inventory, runtime::jobs(None), &cancel);
    Ok(runtime.block_on(asked)?)
}
