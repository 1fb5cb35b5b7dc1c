use std::process;

use pipeline::{InstallStage, Options, Session};

use crate::args::AddNodesArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, config, dry, runtime, signals, site};

const NO_BUNDLE: &str =
    "kubexm install unpacks a bundle; --work-dir names the directory that it was given";

pub fn run(args: &AddNodesArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (contents, digest) = site::described(&cluster, &args.work_dir, NO_BUNDLE)?;
    let site = site::site(cluster, contents, &args.work_dir)?;
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
    let access = if args.dry_run {
        access::of(&args.access)
    } else {
        access::recorded(&args.access, &site.tree)
    };
    let inventory = pipeline::inventory(&site.cluster, &access)?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = runtime::jobs(args.jobs);
    printer.remark(format_args!("to be added: {}", new.join(", ")));
    if args.dry_run {
        let cancel = signals::watch(printer.work())?;
        let nodes = runtime.block_on(pipeline::dry_run(&graph, &inventory, jobs, &cancel));
        return dry::show(&nodes, printer);
    }
    let session = Session::begin(&site.tree, &format!("add nodes, process {}", process::id()))?;
    let looking = pipeline::install(&site, None, InstallStage::PREFLIGHT)?;
    let leasing = claim::leasing("add nodes", &site, args.lease.stale())?;
    let run = Run {
        command: "add nodes",
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: digest.to_string(),
            jobs,
            inject_error: args.inject_error.clone(),
        };
        let graphs = (&graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}
