use std::process;

use pipeline::{Options, Session};

use crate::args::AdoptArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, dry, runtime, signals, site};

pub fn run(args: &AdoptArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::lost(&args.config, &args.work_dir, printer)?;
    let graph = pipeline::adopt(&site)?;
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
    let session = Session::begin(&site.tree, &format!("adopt, process {}", process::id()))?;
    let run = Run {
        command: "adopt",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: String::new(),
            jobs,
            inject_error: None,
        };
        let ran = session.run(&graph, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}
