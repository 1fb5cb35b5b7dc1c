//! A verb that changes a cluster whose work directory is there: shown, confirmed, or done under its lock and its lease.

use std::process;

use cluster::Cluster;
use pipeline::{Graph, Options, Session, Site, StaleLease};

use crate::args::AccessArgs;
use crate::error::Failure;
use crate::output::Printer;
use crate::run::Run;
use crate::{access, claim, dry, runtime, signals};

/// What is to be done.
pub struct Act<'a> {
    /// As it is typed: "certs renew".
    pub verb: &'static str,
    /// The site as it is when all is done.
    pub site: &'a Site,
    /// The hosts that are asked for something.
    pub reached: &'a Cluster,
    pub graph: &'a Graph,
    /// What goes ahead while it is not known yet whether another run is at work. Changes nothing.
    pub looking: &'a Graph,
    /// What the work is made from, for the journal.
    pub bundle: String,
}

/// How it is done, as the arguments say.
pub struct Manner<'a> {
    pub access: &'a AccessArgs,
    pub dry_run: bool,
    pub jobs: Option<u16>,
    pub inject_error: Option<&'a String>,
    pub stale: StaleLease,
}

impl Act<'_> {
    /// Shows it, or does it when `confirmed` says so.
    pub fn carry_out(
        self,
        manner: &Manner<'_>,
        printer: &Printer,
        confirmed: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self {
            verb, site, graph, ..
        } = self;
        let access = if manner.dry_run {
            access::of(manner.access)
        } else {
            access::recorded(manner.access, &site.tree)
        };
        let inventory = pipeline::inventory_of(self.reached, &site.cluster, &access)?;
        let runtime = runtime::start()?;
        let _inside = runtime.enter();
        let jobs = runtime::jobs(manner.jobs);
        if manner.dry_run {
            let cancel = signals::watch(printer.work())?;
            let nodes = runtime.block_on(pipeline::dry_run(graph, &inventory, jobs, &cancel));
            return dry::show(&nodes, printer);
        }
        confirmed()?;
        let session = Session::begin(&site.tree, &format!("{verb}, process {}", process::id()))?;
        let leasing = claim::leasing(verb, site, manner.stale)?;
        let run = Run {
            command: verb,
            cluster: site.cluster.name(),
            units: graph.len(),
            reports: site.tree.state(),
        };
        run.tell(printer, |events| {
            let cancel = signals::watch(events.clone())?;
            let options = Options {
                bundle: self.bundle,
                jobs,
                inject_error: manner.inject_error.cloned(),
            };
            let graphs = (graph, self.looking);
            let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
            Ok(runtime.block_on(ran)?.outcome)
        })
    }
}
