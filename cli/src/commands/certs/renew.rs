use std::process;

use pipeline::{Options, Session};

use crate::args::CertsRenewArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, dry, runtime, signals, site};

pub fn run(args: &CertsRenewArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    let (site, graph, since) = pipeline::renew(site)?;
    let access = if args.dry_run {
        access::of(&args.access)
    } else {
        access::recorded(&args.access, &site.tree)
    };
    let inventory = pipeline::inventory(&site.cluster, &access)?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = runtime::jobs(args.jobs);
    if args.dry_run {
        let cancel = signals::watch(printer.work())?;
        let nodes = runtime.block_on(pipeline::dry_run(&graph, &inventory, jobs, &cancel));
        return dry::show(&nodes, printer);
    }
    let session = Session::begin(
        &site.tree,
        &format!("certs renew, process {}", process::id()),
    )?;
    let leasing = claim::leasing("certs renew", &site, args.lease.stale())?;
    let looking = pipeline::certificates_look(&site)?;
    let run = Run {
        command: "certs renew",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: since.to_string(),
            jobs,
            inject_error: args.inject_error.clone(),
        };
        let graphs = (&graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}
