//! The verbs of `kubexm etcd`, one file each.

mod alarms;
mod backup;
mod defrag;
mod drill;
mod newest;
mod restore;
mod status;

use std::process;

use pipeline::{Graph, Inventory, MemberSeen, Options, Session, Site};

use crate::args::{EtcdCommand, EtcdSiteArgs, LeaseArgs};
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, runtime, signals, site};

pub fn run(command: &EtcdCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        EtcdCommand::Status(args) => status::run(args, printer),
        EtcdCommand::Backup(args) => backup::run(args, printer),
        EtcdCommand::Defrag(args) => defrag::run(args, printer),
        EtcdCommand::Alarms(args) => alarms::run(args, printer),
        EtcdCommand::Restore(args) => restore::run(args, printer),
        EtcdCommand::Drill(args) => drill::run(args, printer),
    }
}

/// Each member, or why it was not heard of.
type Members = Vec<(String, Result<MemberSeen, String>)>;

/// The members of a site as their hosts tell of them, and the hosts.
fn members(args: &EtcdSiteArgs, printer: &Printer) -> Result<(Site, Inventory, Members), Failure> {
    let site = site::bare(&args.config, &args.work_dir, printer)?;
    let inventory = pipeline::inventory(&site.cluster, &access::of(&args.access))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let cancel = signals::watch(printer.work())?;
    let asked = pipeline::members(&site, &inventory, runtime::jobs(None), &cancel);
    let members = runtime.block_on(asked)?;
    Ok((site, inventory, members))
}

/// Does what changes something of the store, as the only one at work on the cluster.
fn alone(
    verb: &'static str,
    graph: &Graph,
    site: &Site,
    args: (&EtcdSiteArgs, &LeaseArgs),
    printer: &Printer,
) -> Result<(), Failure> {
    let (of, lease) = args;
    let inventory = pipeline::inventory(&site.cluster, &access::recorded(&of.access, &site.tree))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let session = Session::begin(&site.tree, &format!("{verb}, process {}", process::id()))?;
    let leasing = claim::leasing(verb, site, lease.stale())?;
    let looking = pipeline::etcd_look(site)?;
    let run = Run {
        command: verb,
        cluster: site.cluster.name(),
        units: graph.len(),
        reports: site.tree.state(),
    };
    run.tell(printer, |events| {
        let cancel = signals::watch(events.clone())?;
        let options = Options {
            bundle: String::new(),
            jobs: runtime::jobs(None),
            inject_error: None,
        };
        let graphs = (graph, &looking);
        let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
        Ok(runtime.block_on(ran)?.outcome)
    })
}
