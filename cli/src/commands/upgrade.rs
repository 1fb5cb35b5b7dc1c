use std::process;

use artifact::Bundle;
use pipeline::{Emptying, Options, Session, Stand, Way};

use tokio_util::sync::CancellationToken;

use crate::args::UpgradeClusterArgs;
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::{Format, Printer};
use crate::run::Run;
use crate::{access, bundles, claim, config, dry, runtime, signals, site};

pub fn run(args: &UpgradeClusterArgs, printer: &Printer) -> Result<(), Failure> {
    let bundle = Bundle::open(&args.file)?;
    if let Some(signers) = &args.signers {
        bundles::signed_by(&bundle, signers)?;
    }
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let doubts = site::doubts(bundle.contents(), cluster.name(), &args.work_dir);
    let site = site::site(cluster, bundle.contents().clone(), &args.work_dir)?;
    let access = if args.dry_run {
        access::of(&args.access)
    } else {
        access::recorded(&args.access, &site.tree)
    };
    let inventory = pipeline::inventory(&site.cluster, &access)?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = runtime::jobs(args.jobs);
    // Nothing has begun yet: an interrupt ends the process.
    let idle = CancellationToken::new();
    let living = runtime.block_on(pipeline::look(&site, &inventory, jobs, &idle))?;
    let way = pipeline::judge(&site, &living)?;
    let emptying = Emptying {
        patience: args.drain_timeout,
        unavailable: args.max_unavailable,
    };
    let graph = pipeline::upgrade(&site, &way, emptying)?;
    for (doubt, _) in &doubts {
        printer.warning(doubt);
    }
    for remark in &way.remarks {
        printer.warning(remark);
    }
    if args.dry_run {
        if printer.format() == Format::Text {
            printer.result(told(&way))?;
        }
        let cancel = signals::watch(printer.work())?;
        let nodes = runtime.block_on(pipeline::dry_run(&graph, &inventory, jobs, &cancel));
        return dry::show(&nodes, printer);
    }
    if !args.yes {
        let name = site.cluster.name();
        let what = format!("{name} shall be upgraded");
        Question {
            what,
            told: format!("{}\nType the cluster's name to go on:", told(&way)),
            word: name,
            of: "the cluster's name",
        }
        .ask(printer)?;
    }
    let session = Session::begin(&site.tree, &format!("upgrade, process {}", process::id()))?;
    let looking = pipeline::before_upgrade(&site, &way, emptying)?;
    let leasing = claim::leasing("upgrade", &site, args.lease.stale())?;
    bundles::require_space(&bundle, &site.tree)?;
    let run = Run {
        command: "upgrade",
        cluster: site.cluster.name(),
        units: graph.len() + 1,
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        if args.yes {
            events.note(told(&way));
        }
        let cancel = signals::watch(events.clone())?;
        let flag = signals::flag(&cancel);
        bundles::unpack(&bundle, &site.tree, runtime::threads(), events, &flag)
            .map_err(|error| Failure::Summed(Box::new(error.into())))?;
        let options = Options {
            bundle: bundle.digest().to_string(),
            jobs,
            inject_error: args.inject_error.clone(),
        };
        let graphs = (&graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}

/// The hops, and what each of them does.
fn told(way: &Way) -> String {
    let mut lines = vec![format!("Kubernetes {}", way.from)];
    for (release, stand) in &way.hops {
        let begun = match stand {
            Stand::Ahead => "",
            Stand::Begun => ", begun before",
        };
        lines.push(format!("  -> {}{begun}", release.kubernetes));
    }
    lines.push(
        "Each hop: a snapshot of etcd is kept here; images; etcd, the control plane and the kubelets of the masters, one \
         master at a time; the workers: drained, changed, heard of again, given back."
            .to_owned(),
    );
    lines.join("\n")
}
