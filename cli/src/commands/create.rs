use std::process;

use artifact::{Sha256, WorkDir};
use bundler::{Filled, Request};
use event::Events;
use pipeline::{InstallStage, Options, Session};
use tokio_util::sync::CancellationToken;

use super::bundle;
use crate::args::{BundleArgs, CreateClusterArgs};
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, config, runtime, signals, site};

pub fn run(args: &CreateClusterArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    config.require_bundle(&[])?;
    let warning = config.not_yet_acting();
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let tree = WorkDir::new(&args.work_dir).tree(cluster.name());
    let inventory = pipeline::inventory(&cluster, &access::recorded(&args.access, &tree))?;
    let request = bundle::request(&fetching(args), config)?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let run = Run {
        command: "create",
        cluster: cluster.name(),
        // How many there are is known when everything has been fetched.
        units: 0,
        reports: tree.state(),
    };
    run.tell(printer, |events| {
        if let Some(text) = warning {
            events.warn(text, None);
        }
        let cancel = signals::watch(events.clone())?;
        let Filled { contents, guard } = runtime.block_on(fetch(request, events, &cancel))?;
        let bundle = Sha256::of(&contents.to_bytes()).to_string();
        let site = site::site(cluster.clone(), contents, &args.work_dir)?;
        let before = site::applied(&site, printer);
        site::tell_left_out(before.as_ref(), &site, printer);
        let graph = pipeline::install(&site, before.as_ref(), args.until)?;
        let looking = pipeline::install(&site, None, InstallStage::PREFLIGHT)?;
        let holder = format!("create, process {}", process::id());
        let session = Session::go_on(&site.tree, &holder, guard.into_file())?;
        let leasing = claim::leasing("create", &site, args.lease.stale())?;
        let options = Options {
            bundle,
            jobs: runtime::jobs(args.jobs),
            inject_error: None,
        };
        let graphs = (&graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}

async fn fetch(
    request: Request,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<Filled, Failure> {
    let prepared = bundler::prepare_tree(request, events, cancel).await?;
    prepared.fill(events, cancel).await.map_err(bundle::told)
}

/// What bundle would be asked for.
fn fetching(args: &CreateClusterArgs) -> BundleArgs {
    BundleArgs {
        config: args.config.clone(),
        out: None,
        since: None,
        segment_size: None,
        parity: None,
        upgrade_from: None,
        arch: Vec::new(),
        work_dir: args.work_dir.clone(),
        mirror: args.mirror.clone(),
        keyring: args.keyring.clone(),
        jobs: args.downloads,
        locked: args.locked,
        update: None,
        sign: None,
        dry_run: false,
    }
}
