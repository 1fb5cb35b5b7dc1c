use std::process;

use pipeline::{InstallStage, Options, Session};

use crate::args::InstallArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, bundles, claim, config, dry, runtime, set, signals, site};

pub fn run(args: &InstallArgs, printer: &Printer) -> Result<(), Failure> {
    let bundles = set::open(&args.files, printer)?;
    let bundle = &bundles[0];
    if let Some(signers) = &args.signers {
        let by = bundles::signed_by(bundle, signers)?;
        bundles::warn_of_end(&by, printer);
    }
    let config = match &args.config {
        Some(path) => config::load(path, printer)?,
        None => site::bundled(bundle, printer)?,
    };
    if args.config.is_none() && args.signers.is_none() {
        site::require_no_pointers(&config)?;
    }
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let mut doubts = site::doubts(bundle.contents(), cluster.name(), &args.work_dir);
    let mut site = site::site(cluster, bundle.contents().clone(), &args.work_dir)?;
    site::may_replace(&mut site, &args.runtime);
    doubts.extend(site::rotation(&site)?);
    let before = site::applied(&site, printer);
    site::tell_left_out(before.as_ref(), &site, printer);
    let graph = pipeline::install(&site, before.as_ref(), args.until)?;
    doubts.extend(site::replaced(before.as_ref(), &site));
    let access = if args.dry_run {
        access::of(&args.access)
    } else {
        access::recorded(&args.access, &site.tree)
    };
    let inventory =
        pipeline::inventory(&site.cluster, &access).map_err(|error| match &args.config {
            None => Failure::Secretless(error),
            Some(_) => error.into(),
        })?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = runtime::jobs(args.jobs);
    if args.dry_run {
        if let Some(text) = config.not_yet_acting() {
            printer.warning(text);
        }
        for (doubt, _) in &doubts {
            printer.warning(doubt);
        }
        let events = printer.work();
        let cancel = signals::watch(events.clone())?;
        let flag = signals::flag(&cancel);
        bundles::require_rest(bundle, &site.tree, runtime::threads(), &events, &flag)?;
        let nodes = runtime.block_on(pipeline::dry_run(&graph, &inventory, jobs, &cancel));
        return dry::show(&nodes, printer);
    }
    let session = Session::begin(&site.tree, &format!("install, process {}", process::id()))?;
    let looking = pipeline::install(&site, None, InstallStage::PREFLIGHT)?;
    let leasing = claim::leasing("install", &site, args.lease.stale())?;
    bundles::require_space(bundle, &site.tree)?;
    let run = Run {
        command: "install",
        cluster: site.cluster.name(),
        units: graph.len() + 1,
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        if let Some(text) = config.not_yet_acting() {
            events.warn(text, None);
        }
        for (doubt, hint) in &doubts {
            events.warn(doubt.clone(), Some(*hint));
        }
        let cancel = signals::watch(events.clone())?;
        let flag = signals::flag(&cancel);
        bundles::unpack_all(&bundles, &site.tree, runtime::threads(), events, &flag)?;
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
