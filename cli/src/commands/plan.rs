use artifact::Bundle;

use crate::args::{PlanArgs, PlanFormat};
use crate::error::Failure;
use crate::output::{Format, Printer};
use crate::{config, dry, site};

pub fn run(args: &PlanArgs, printer: &Printer) -> Result<(), Failure> {
    let (config, manifest) = match (&args.file, &args.config) {
        (Some(file), Some(given)) => {
            let manifest = Bundle::open(file)?.contents().clone();
            (config::load(given, printer)?, manifest)
        }
        (Some(file), None) => {
            let bundle = Bundle::open(file)?;
            let config = site::bundled(&bundle, printer)?;
            site::require_no_pointers(&config)?;
            (config, bundle.contents().clone())
        }
        (None, Some(given)) => {
            let config = config::load(given, printer)?;
            let manifest = site::unpacked(&config.parsed.cluster, &args.work_dir)?;
            (config, manifest)
        }
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let warning = config.not_yet_acting();
    let cluster = config.parsed.cluster;
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let site = site::site(cluster, manifest, &args.work_dir)?;
    let before = site::applied(&site, printer);
    let graph = pipeline::install(&site, before.as_ref(), args.until)?;
    if let Some(text) = warning {
        printer.warning(text);
    }
    match (printer.format(), args.format) {
        (Format::Json, _) | (_, PlanFormat::Json) => printer.file(&graph)?,
        (Format::Text, PlanFormat::Tree) => printer.text(dry::tree(&graph))?,
        (Format::Text, PlanFormat::Dot) => printer.text(graph.dot())?,
    }
    Ok(())
}
