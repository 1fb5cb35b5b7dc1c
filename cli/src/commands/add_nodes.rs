use pipeline::InstallStage;

use crate::act::Act;
use crate::args::AddNodesArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::{config, site};

const NO_BUNDLE: &str =
    "kubexm install unpacks a bundle; --work-dir names the directory that it was given";

pub fn run(args: &AddNodesArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (contents, digest) = site::described(&cluster, &args.act.work_dir, NO_BUNDLE)?;
    let site = site::site(cluster, contents, &args.act.work_dir)?;
    let before = site::must_be_applied(&site, printer)?;
    let new = pipeline::added(&before.cluster, &site.cluster)?;
    if new.is_empty() {
        printer.remark(format_args!(
            "nothing to add: the cluster has every host of {} in all its roles",
            config.name
        ));
        return Ok(());
    }
    let graph = pipeline::install(&site, Some(&before), InstallStage::LAST)?;
    printer.remark(format_args!("to be added: {}", new.join(", ")));
    let looking = pipeline::install(&site, None, InstallStage::PREFLIGHT)?;
    let act = Act {
        verb: "add nodes",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: digest.to_string(),
    };
    act.carry_out(&args.act, printer, || Ok(()))
}
