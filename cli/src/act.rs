//! A verb that changes a cluster whose work directory is there: shown, confirmed, or done under its lock and its lease.

use std::process;

use cluster::Cluster;
use pipeline::{Graph, Options, Session, Site};

use crate::args::ActArgs;
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

impl Act<'_> {
    /// Shows it, or does it when `confirmed` says so.
    pub fn carry_out(
        self,
        how: &ActArgs,
        printer: &Printer,
        confirmed: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self {
            verb, site, graph, ..
        } = self;
        let access = if how.dry_run {
            access::of(&how.access)
        } else {
            access::recorded(&how.access, &site.tree)
        };
        let inventory = pipeline::inventory_of(self.reached, &site.cluster, &access)?;
        let runtime = runtime::start()?;
        let _inside = runtime.enter();
        let jobs = runtime::jobs(how.jobs);
        if how.dry_run {
            let cancel = signals::watch(printer.work())?;
            let nodes = runtime.block_on(pipeline::dry_run(graph, &inventory, jobs, &cancel));
            return dry::show(&nodes, printer);
        }
        confirmed()?;
        let session = Session::begin(&site.tree, &format!("{verb}, process {}", process::id()))?;
        let leasing = claim::leasing(verb, site, how.lease.stale())?;
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
                inject_error: how.inject_error.clone(),
            };
            let graphs = (graph, self.looking);
            let ran = session.run_alone(graphs, &leasing, &inventory, options, events, &cancel);
            Ok(runtime.block_on(ran)?.outcome)
        })
    }
}
