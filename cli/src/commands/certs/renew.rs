use crate::act::Act;
use crate::args::CertsRenewArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::site;

pub fn run(args: &CertsRenewArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.act.work_dir, printer)?;
    let (site, graph, since) = pipeline::renew(site)?;
    let looking = pipeline::certificates_look(&site)?;
    let act = Act {
        verb: "certs renew",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: since.to_string(),
    };
    act.carry_out(&args.act, printer, || Ok(()))
}
