use std::process;

use artifact::WorkDir;
use cluster::Cluster;
use pipeline::{Data, Graph, Options, Session, Site};

use crate::args::DeleteClusterArgs;
use crate::confirm::{self, Consequence};
use crate::error::Failure;
use crate::output::{Printer, count};
use crate::run::Run;
use crate::{access, claim, config, dry, runtime, signals, site};

const NO_MANIFEST: &str = "give the --work-dir that the cluster was installed from, or copy its .kubexm/<cluster>/bundle.json \
     there: it says what was installed; of the other files none is needed";

pub fn run(args: &DeleteClusterArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster;
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (manifest, digest) = site::described(&cluster, &args.work_dir, NO_MANIFEST)?;
    let tree = WorkDir::new(&args.work_dir).tree(cluster.name());
    // Nobody logs in to the registry to remove it.
    let site = Site::new(cluster, manifest, tree, None);
    let data = if args.purge { Data::Purge } else { Data::Keep };
    let graph = pipeline::delete(&site, data)?;
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
    if !args.yes {
        confirm(&site.cluster, &graph, data, printer)?;
    }
    let session = Session::begin(&site.tree, &format!("delete, process {}", process::id()))?;
    let looking = pipeline::recognise(&site, data)?;
    let leasing = claim::leasing("delete", &site, args.lease.stale())?;
    let run = Run {
        command: "delete",
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

/// Shows what would be taken away, and goes on only if the cluster's name is typed.
fn confirm(cluster: &Cluster, graph: &Graph, data: Data, printer: &Printer) -> Result<(), Failure> {
    let name = cluster.name();
    let hosts = count(cluster.spec.hosts.len() as u64, "host");
    let fate = match data {
        Data::Keep => "data, images, certificates and keys stay",
        Data::Purge => "all data, images, certificates and keys are lost for good",
    };
    let of = Consequence {
        cluster: name,
        what: "shall be deleted",
        look: "see before what --dry-run shows",
    };
    let told = format!("{}\n{name} is taken off {hosts}; {fate}.", dry::tree(graph));
    confirm::insist(&of, told, printer)
}
