use std::fs;

use artifact::{ImageEntry, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use cluster::{Arch, Role};
use pipeline::{NodeSeen, Site};
use serde::{Deserialize, Serialize};

use crate::args::{GetCommand, NodesArgs, TreeArgs};
use crate::commands::{get_hosts, get_inventory, get_journeys};
use crate::error::Failure;
use crate::output::{Column, Format, Printer, bytes, count, harmless, report, table};
use crate::{access, runtime, signals, site};

pub fn run(command: &GetCommand, printer: &Printer) -> Result<(), Failure> {
    match command {
        GetCommand::Cluster(args) => cluster(args, printer),
        GetCommand::Nodes(args) => nodes(args, printer),
        GetCommand::Hosts(args) => get_hosts::run(args, printer),
        GetCommand::Images(args) => images(args, printer),
        GetCommand::Inventory(args) => get_inventory::run(args, printer),
        GetCommand::Journeys(args) => get_journeys::run(args, printer),
    }
}

/// A cluster as its config and its tree have it.
#[derive(Serialize)]
struct Cluster {
    name: String,
    kubernetes: String,
    #[serde(rename = "type")]
    kind: String,
    runtime: String,
    etcd: String,
    network: String,
    endpoint: String,
    hosts: Vec<HostRow>,
    tree: Held,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run: Option<LastRun>,
}

#[derive(Serialize)]
struct HostRow {
    name: String,
    address: String,
    arch: Arch,
    roles: Vec<&'static str>,
}

/// What the tree holds.
#[derive(Serialize)]
struct Held {
    path: Utf8PathBuf,
    size: u64,
    files: usize,
    images: usize,
    made_by: String,
}

/// What the newest report tells.
#[derive(Deserialize, Serialize)]
struct LastRun {
    command: String,
    outcome: Option<String>,
    started: Option<String>,
    #[serde(default, skip_deserializing)]
    report: Utf8PathBuf,
}

fn cluster(args: &TreeArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    let cluster = described(&site, printer);
    match printer.format() {
        Format::Json => printer.document(&cluster)?,
        Format::Text => printer.result(drawn(&cluster))?,
    }
    Ok(())
}

fn described(site: &Site, printer: &Printer) -> Cluster {
    let spec = &site.cluster.spec;
    let held = |component: &str| {
        let version = site.release.version_of(component);
        version.map_or_else(
            || component.to_owned(),
            |version| format!("{component} {version}"),
        )
    };
    let hosts = spec.hosts.iter().map(|host| HostRow {
        name: host.name.clone(),
        address: host.address.clone(),
        arch: host.arch,
        roles: Role::ALL
            .into_iter()
            .filter(|role| site.cluster.roles_of(&host.name).contains(role))
            .map(Role::key)
            .collect(),
    });
    let runtime = spec.kubernetes.container_runtime.kind.to_string();
    Cluster {
        name: site.cluster.name().to_owned(),
        kubernetes: spec.kubernetes.version.with_v(),
        kind: word(&spec.kubernetes.kind),
        runtime: held(&runtime),
        etcd: match spec.etcd.kind {
            cluster::EtcdType::Kubexm => held("etcd"),
            other => word(&other),
        },
        network: word(&spec.network.plugin),
        endpoint: site.apiserver_url(),
        hosts: hosts.collect(),
        tree: Held {
            path: site.tree.root().to_owned(),
            size: site.contents.content_size(),
            files: site.contents.files.len(),
            images: site.contents.images.len(),
            made_by: format!("kubexm {}", site.contents.kubexm),
        },
        last_run: last_run(&site.tree, printer),
    }
}

/// A choice of the config, as it is written there.
fn word(choice: &impl Serialize) -> String {
    let value = serde_json::to_value(choice).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// The newest report that can be read; the names of reports sort by time. The others are told of.
fn last_run(tree: &Tree, printer: &Printer) -> Option<LastRun> {
    let state = tree.state();
    let reports = match report::reports(&state) {
        Ok(reports) => reports,
        Err(error) => {
            printer.warning(format_args!("cannot read {state}: {error}"));
            return None;
        }
    };
    reports.into_iter().rev().find_map(|report| {
        let bytes = fs::read(&report);
        match bytes.and_then(|bytes| Ok(serde_json::from_slice::<LastRun>(&bytes)?)) {
            Ok(last) => Some(LastRun { report, ..last }),
            Err(error) => {
                printer.warning(format_args!("cannot read the report {report}: {error}"));
                None
            }
        }
    })
}

fn drawn(cluster: &Cluster) -> String {
    let Held {
        path,
        size,
        files,
        images,
        made_by,
    } = &cluster.tree;
    let tree = format!(
        "{path} ({}: {}, {}; by {made_by})",
        bytes(*size),
        count(*files as u64, "file"),
        count(*images as u64, "image")
    );
    let last = cluster.last_run.as_ref().map_or_else(
        || "none".to_owned(),
        |run| {
            let outcome = run.outcome.as_deref().unwrap_or("not ended");
            let started = run.started.as_deref().unwrap_or("-");
            format!("{}, {outcome}, {started} ({})", run.command, run.report)
        },
    );
    let facts = [
        ("cluster", cluster.name.clone()),
        (
            "kubernetes",
            format!("{} ({})", cluster.kubernetes, cluster.kind),
        ),
        ("runtime", cluster.runtime.clone()),
        ("etcd", cluster.etcd.clone()),
        ("network", cluster.network.clone()),
        ("endpoint", cluster.endpoint.clone()),
        ("tree", tree),
        ("last run", last),
    ]
    .map(|(name, value)| format!("{:<12}{}", format!("{name}:"), harmless::word(&value)));
    let columns = ["host", "address", "arch", "roles"].map(Column::Text);
    let rows = cluster.hosts.iter().map(|host| {
        vec![
            host.name.clone(),
            host.address.clone(),
            host.arch.to_string(),
            host.roles.join(","),
        ]
    });
    format!("{}\n\n{}", facts.join("\n"), table(&columns, rows))
}

fn nodes(args: &NodesArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.tree.config, &args.tree.work_dir, printer)?;
    let inventory = pipeline::inventory(&site.cluster, &access::of(&args.access))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let cancel = signals::watch(printer.work())?;
    let nodes = runtime.block_on(pipeline::nodes(&inventory, &cancel))?;
    match printer.format() {
        Format::Json => printer.document(&nodes)?,
        Format::Text => printer.result(drawn_nodes(&nodes))?,
    }
    Ok(())
}

fn drawn_nodes(nodes: &[NodeSeen]) -> String {
    let titles = ["node", "status", "roles", "version", "runtime", "addresses"];
    let rows = nodes.iter().map(|node| {
        let roles = match node.roles.as_slice() {
            [] => "-".to_owned(),
            roles => roles.join(","),
        };
        vec![
            node.name.clone(),
            node.status.clone(),
            roles,
            node.version.clone(),
            node.runtime.clone(),
            node.addresses.join(","),
        ]
    });
    table(&titles.map(Column::Text), rows)
}

fn images(args: &TreeArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    match printer.format() {
        Format::Json => printer.document(&site.contents.images)?,
        Format::Text => printer.result(drawn_images(&site.contents.images, site.tree.root()))?,
    }
    Ok(())
}

fn drawn_images(images: &[ImageEntry], tree: &Utf8Path) -> String {
    if images.is_empty() {
        return format!("{tree} holds no image");
    }
    let columns = [
        Column::Text("image"),
        Column::Text("arch"),
        Column::Number("size"),
        Column::Text("wanted by"),
    ];
    let rows = images.iter().map(|image| {
        let arches: Vec<&str> = image
            .platforms
            .iter()
            .map(|platform| platform.arch.go())
            .collect();
        let size = image.platforms.iter().map(|platform| platform.size).sum();
        vec![
            image.reference.clone(),
            arches.join(","),
            bytes(size),
            image.wanted_by.join(", "),
        ]
    });
    table(&columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_columns() {
        let node = |name: &str, status: &str, roles: &[&str]| NodeSeen {
            name: name.into(),
            status: status.into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            version: "v1.36.2".into(),
            runtime: "containerd://2.2.1".into(),
            addresses: vec!["10.0.0.1".into(), "fd00::1".into()],
        };
        insta::assert_snapshot!(drawn_nodes(&[
            node("master1", "Ready", &["control-plane"]),
            node("node1", "NotReady,SchedulingDisabled", &[]),
        ]), @r"
        node     status                       roles          version  runtime             addresses
        master1  Ready                        control-plane  v1.36.2  containerd://2.2.1  10.0.0.1,fd00::1
        node1    NotReady,SchedulingDisabled  -              v1.36.2  containerd://2.2.1  10.0.0.1,fd00::1
        ");
    }
}
