use std::process;

use pipeline::{Data, Draining, LocalData, Options, Part, Restarting, Session};

use crate::args::{PartArg, RestartArgs};
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, config, dry, runtime, signals, site};

const NO_BUNDLE: &str =
    "kubexm install unpacks a bundle; --work-dir names the directory that it was given";

pub fn run(args: &RestartArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (contents, digest) = site::described(&cluster, &args.work_dir, NO_BUNDLE)?;
    let site = site::site(cluster, contents, &args.work_dir)?;
    let before = site::must_be_applied(&site, printer)?;
    let graph = pipeline::restart(&site, &before, part(args.part), &args.names, how(args))?;
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
    let session = Session::begin(&site.tree, &format!("restart, process {}", process::id()))?;
    let looking = pipeline::recognise(&site, Data::Keep)?;
    let leasing = claim::leasing("restart", &site, args.lease.stale())?;
    let run = Run {
        command: "restart",
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

fn part(arg: PartArg) -> Part {
    match arg {
        PartArg::Cluster => Part::Cluster,
        PartArg::Etcd => Part::Etcd,
        PartArg::ControlPlane => Part::ControlPlane,
        PartArg::Nodes => Part::Nodes,
    }
}

fn how(args: &RestartArgs) -> Restarting {
    if !args.reboot {
        return Restarting::Services;
    }
    Restarting::Hosts(Draining {
        timeout: args.drain.drain_timeout,
        local: match args.drain.local() {
            LocalData::Lose => LocalData::Lose,
            LocalData::Refuse | LocalData::RefuseFleeting => LocalData::RefuseFleeting,
        },
    })
}
