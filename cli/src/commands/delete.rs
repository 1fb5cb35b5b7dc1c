use artifact::WorkDir;
use cluster::Cluster;
use pipeline::{Data, Graph, Site};

use crate::act::Act;
use crate::args::DeleteClusterArgs;
use crate::confirm::Question;
use crate::error::Failure;
use crate::output::{Printer, count};
use crate::{config, dry, site};

const NO_MANIFEST: &str = "give the --work-dir that the cluster was installed from, or copy its .kubexm/<cluster>/bundle.json \
     there: it says what was installed; of the other files none is needed";

pub fn run(args: &DeleteClusterArgs, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(&args.config, printer)?;
    let cluster = config.parsed.cluster;
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let (manifest, digest) = site::described(&cluster, &args.act.work_dir, NO_MANIFEST)?;
    let tree = WorkDir::new(&args.act.work_dir).tree(cluster.name());
    // Nobody logs in to the registry to remove it.
    let site = Site::new(cluster, manifest, tree, None);
    let data = if args.purge { Data::Purge } else { Data::Keep };
    let graph = pipeline::delete(&site, data)?;
    let looking = pipeline::recognise(&site, data)?;
    let act = Act {
        verb: "delete",
        site: &site,
        reached: &site.cluster,
        graph: &graph,
        looking: &looking,
        bundle: digest.to_string(),
    };
    act.carry_out(&args.act, printer, || {
        if args.yes {
            return Ok(());
        }
        confirm(&site.cluster, &graph, data, printer)
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
    Question {
        what: format!("{name} shall be deleted"),
        told: format!(
            "{}\n{name} is taken off {hosts}; {fate}.\nType the cluster's name to go on:",
            dry::tree(graph)
        ),
        word: name,
        of: "the cluster's name",
    }
    .ask(printer)
}
