use std::process;

use artifact::Bundle;
use camino::Utf8PathBuf;
use pipeline::{Access, DryNode, DryState, HostKeys, Options, Session, UnknownHost};

use crate::args::InstallArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, count};
use crate::run::Run;
use crate::secrets::LocalSecrets;
use crate::{bundles, home, runtime, signals, site};

/// Enough to keep every host of a middling site busy.
const JOBS: usize = 64;

pub fn run(args: &InstallArgs, printer: &Printer) -> Result<(), Failure> {
    let bundle = Bundle::open(&args.file)?;
    if let Some(signers) = &args.signers {
        bundles::signed_by(&bundle, signers)?;
    }
    let config = site::config(args.config.as_deref(), &bundle, printer)?;
    let cluster = config.parsed.cluster.clone();
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let site = site::site(cluster, bundle.manifest().clone(), &args.work_dir)?;
    let graph = pipeline::install(&site, args.until)?;
    let inventory = pipeline::inventory(&site.cluster, &access(args))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let jobs = args.jobs.map_or(JOBS, usize::from);
    if args.dry_run {
        if let Some(text) = config.not_yet_acting() {
            printer.warning(text);
        }
        let cancel = signals::watch(printer.work())?;
        let nodes = runtime.block_on(pipeline::dry_run(&graph, &inventory, jobs, &cancel));
        return show(&nodes, printer);
    }
    let session = Session::begin(&site.tree, &format!("install, process {}", process::id()))?;
    bundles::require_space(&bundle, &site.tree)?;
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
        let cancel = signals::watch(events.clone())?;
        let flag = signals::flag(&cancel);
        bundles::unpack(&bundle, &site.tree, runtime::threads(), events, &flag)?;
        let options = Options {
            bundle: bundle.digest().to_string(),
            jobs,
            inject_error: args.inject_error.clone(),
        };
        let ran = session.run(&graph, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}

fn access(args: &InstallArgs) -> Access<'static> {
    let file = args
        .known_hosts
        .clone()
        .or_else(|| Some(home::dir()?.join(".ssh/known_hosts")));
    let unknown = match &file {
        Some(file) if args.accept_new_host_keys => UnknownHost::Accept(file.clone()),
        _ => UnknownHost::Refuse,
    };
    let mut known_hosts: Vec<Utf8PathBuf> = file.into_iter().collect();
    if args.known_hosts.is_none() {
        known_hosts.push("/etc/ssh/ssh_known_hosts".into());
    }
    let agent = std::env::var("SSH_AUTH_SOCK")
        .ok()
        .filter(|path| !path.is_empty());
    Access {
        secrets: &LocalSecrets,
        host_keys: HostKeys {
            known_hosts,
            unknown,
        },
        agent: agent.map(Utf8PathBuf::from),
    }
}

/// The whole plan, and for each step whether it is needed.
fn show(nodes: &[DryNode], printer: &Printer) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        return Ok(printer.document(&nodes)?);
    }
    let views: Vec<_> = nodes.iter().map(|dry| dry.node.clone()).collect();
    let paint = printer.paint();
    let tree = pipeline::tree(&views, |view| {
        match nodes
            .iter()
            .find(|dry| dry.node.id == view.id)
            .map(|dry| &dry.state)
        {
            None | Some(DryState::Satisfied) => format!(": {}", paint.good("ok")),
            Some(DryState::Needed { reason }) => format!(": {} ({reason})", paint.warn("needed")),
            Some(DryState::Unknown { because }) => {
                format!(": {} ({because})", paint.bad("cannot tell"))
            }
        }
    });
    let needed = nodes
        .iter()
        .filter(|dry| dry.state != DryState::Satisfied)
        .count();
    let (steps, needed) = (
        count(nodes.len() as u64, "step"),
        count(needed as u64, "step"),
    );
    printer.result(format_args!(
        "{tree}\n{steps}; {needed} to do. Nothing was changed."
    ))?;
    Ok(())
}
