use cluster::{Arch, Cluster, Role};
use pipeline::{Activity, Carried, HostSeen};
use serde::Serialize;

use crate::args::HostsArgs;
use crate::error::{Exit, Failure};
use crate::output::{Column, Format, Printer, table};
use crate::{access, runtime, signals, site};

/// A host as the config has it, and as it tells of itself.
#[derive(Serialize)]
struct Row {
    name: String,
    address: String,
    arch: Arch,
    roles: Vec<&'static str>,
    #[serde(flatten)]
    told: HostAnswer,
}

#[derive(Serialize)]
#[serde(untagged)]
enum HostAnswer {
    Seen(Box<HostSeen>),
    Silent { error: String },
}

pub fn run(args: &HostsArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::bare(&args.config, &args.work_dir, printer)?;
    let inventory = pipeline::inventory(&site.cluster, &access::of(&args.access))?;
    let runtime = runtime::start()?;
    let _inside = runtime.enter();
    let cancel = signals::watch(printer.work())?;
    let asked = pipeline::hosts(&site, &inventory, runtime::jobs(None), &cancel);
    let asked = runtime.block_on(asked)?;
    let rows: Vec<Row> = asked
        .into_iter()
        .filter_map(|(name, told)| row(&site.cluster, &name, told))
        .collect();
    match printer.format() {
        Format::Json => printer.document(&rows)?,
        Format::Text => printer.result(drawn(&rows))?,
    }
    let mut silent = false;
    for row in &rows {
        if let HostAnswer::Silent { error } = &row.told {
            silent = true;
            printer.warning(format_args!("{}: {error}", row.name));
        }
    }
    if silent {
        return Err(Failure::Told(Exit::Failed));
    }
    Ok(())
}

fn row(cluster: &Cluster, name: &str, told: Result<HostSeen, String>) -> Option<Row> {
    let host = cluster.host(name)?;
    let roles = cluster.roles_of(name);
    Some(Row {
        name: host.name.clone(),
        address: host.address.clone(),
        arch: host.arch,
        roles: Role::ALL
            .into_iter()
            .filter(|role| roles.contains(role))
            .map(Role::key)
            .collect(),
        told: match told {
            Ok(seen) => HostAnswer::Seen(Box::new(seen)),
            Err(error) => HostAnswer::Silent { error },
        },
    })
}

/// What hosts are, and then what they carry.
fn drawn(rows: &[Row]) -> String {
    let hosts = rows.iter().map(|row| {
        let seen = match &row.told {
            HostAnswer::Seen(seen) => Some(seen),
            HostAnswer::Silent { .. } => None,
        };
        let of =
            |told: fn(&HostSeen) -> String| seen.map_or_else(|| "-".to_owned(), |seen| told(seen));
        vec![
            row.name.clone(),
            row.roles.join(","),
            row.arch.to_string(),
            of(|seen| seen.cluster.clone().unwrap_or_else(|| "-".to_owned())),
            of(|seen| time(seen.since)),
            of(|seen| seen.facts.kernel.clone()),
            of(|seen| seen.facts.os_name.clone()),
        ]
    });
    let titles = [
        "host", "roles", "arch", "cluster", "since", "kernel", "system",
    ];
    let hosts = table(&titles.map(Column::Text), hosts);
    let mut carried = Vec::new();
    for row in rows {
        if let HostAnswer::Seen(seen) = &row.told {
            carried.extend(
                seen.carries
                    .iter()
                    .map(|carries| component(&row.name, carries)),
            );
        }
    }
    if carried.is_empty() {
        return hosts;
    }
    let titles = ["host", "component", "version", "service", "since"];
    format!("{hosts}\n\n{}", table(&titles.map(Column::Text), carried))
}

fn component(host: &str, carried: &Carried) -> Vec<String> {
    let activity = match carried.activity {
        Some(Activity::AtWork) => "runs",
        Some(Activity::AtBoot) => "stopped",
        Some(Activity::Idle) => "off",
        None => "-",
    };
    vec![
        host.to_owned(),
        carried.component.to_owned(),
        carried.version.clone().unwrap_or_else(|| "?".to_owned()),
        activity.to_owned(),
        time(carried.since),
    ]
}

fn time(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"))
}
