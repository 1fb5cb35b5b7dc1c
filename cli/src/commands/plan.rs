use artifact::Bundle;
use pipeline::{Graph, Site};

use crate::args::{PlanArgs, PlanFormat};
use crate::error::Failure;
use crate::output::{Format, Printer, page};
use crate::{config, dry, site};

pub fn run(args: &PlanArgs, printer: &Printer) -> Result<(), Failure> {
    let (config, manifest) = match (&args.file, &args.config) {
        (Some(file), Some(given)) => {
            let manifest = Bundle::open(file)?.contents().clone();
            (config::load(given, printer)?, manifest)
        }
        (Some(file), None) => {
            let bundle = Bundle::open(file)?;
            let config = site::bundled(&bundle, printer)?;
            site::require_no_pointers(&config)?;
            (config, bundle.contents().clone())
        }
        (None, Some(given)) => {
            let config = config::load(given, printer)?;
            let manifest = site::unpacked(&config.parsed.cluster, &args.work_dir)?;
            (config, manifest)
        }
        (None, None) => unreachable!("clap asks for one of them"),
    };
    let warning = config.not_yet_acting();
    let cluster = config.parsed.cluster;
    cluster
        .require_hosts(config.name.as_str())
        .map_err(|problems| Failure::Config(Box::new(problems)))?;
    let mut site = site::site(cluster, manifest, &args.work_dir)?;
    site::may_replace(&mut site, &args.runtime);
    let before = site::applied(&site, printer);
    let graph = pipeline::install(&site, before.as_ref(), args.until)?;
    if let Some(text) = warning {
        printer.warning(text);
    }
    match (printer.format(), args.format) {
        (Format::Json, _) | (_, PlanFormat::Json) => printer.file(&graph)?,
        (Format::Text, PlanFormat::Tree) => printer.text(dry::tree(&graph))?,
        (Format::Text, PlanFormat::Dot) => printer.text(graph.dot())?,
        (Format::Text, PlanFormat::Html) => printer.result(drawn(&site, &graph))?,
    }
    Ok(())
}

/// As a page.
fn drawn(site: &Site, graph: &Graph) -> String {
    let cluster = &site.cluster;
    let hosts = cluster.spec.hosts.iter();
    let roles = hosts.map(|host| {
        let roles = cluster.roles_of(&host.name);
        let roles: Vec<&str> = roles.into_iter().map(cluster::Role::key).collect();
        let role = match roles.as_slice() {
            [] => "no role".to_owned(),
            roles => roles.join(" + "),
        };
        (host.name.clone(), role)
    });
    page::of_plan(&page::Plan {
        command: "install",
        cluster: cluster.name(),
        aim: format!("Kubernetes {}", site.release.kubernetes.with_v()),
        nodes: graph.linked().collect(),
        roles: roles.collect(),
    })
}
