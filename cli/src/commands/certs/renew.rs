use crate::act::{Act, Manner};
use crate::args::CertsRenewArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::site;

pub fn run(args: &CertsRenewArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
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
    let manner = Manner {
        access: &args.access,
        dry_run: args.dry_run,
        jobs: args.jobs,
        inject_error: args.inject_error.as_ref(),
        stale: args.lease.stale(),
    };
    act.carry_out(&manner, printer, || Ok(()))
}
