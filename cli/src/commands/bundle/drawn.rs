//! The plan of a bundle, as people read it.

use std::collections::BTreeMap;

use bundler::{Extent, Plan, RowKind};
use cluster::Version;

use crate::output::{Column, bytes, count, table};

/// The plan as a table, and its sum.
pub fn drawn(plan: &Plan) -> String {
    let hops = (plan.releases.len() > 1).then_some("release");
    let texts = ["", "version", "arch"].into_iter().chain(hops);
    let columns: Vec<Column> = texts
        .map(Column::Text)
        .chain([Column::Number("size")])
        .collect();
    let single = plan.rows.iter().filter(|row| row.kind != RowKind::Package);
    let rows = single.map(|row| {
        let arches: Vec<&str> = row.arches.iter().map(|arch| arch.go()).collect();
        let size = row.size.map_or_else(|| "?".to_owned(), bytes);
        let mut cells = vec![row.name.clone(), row.version.clone(), arches.join(",")];
        cells.extend(hops.map(|_| releases(&row.releases, plan)));
        cells.push(size);
        cells
    });
    let packages = packages(plan).map(|[name, version, arch, size]| {
        let mut cells = vec![name, version, arch];
        cells.extend(hops.map(|_| ALL.to_owned()));
        cells.push(size);
        cells
    });
    let (size, extent) = plan.size();
    let at_least = if extent == Extent::Whole {
        ""
    } else {
        "at least "
    };
    let things = count(plan.rows.len() as u64, "thing");
    format!(
        "{}\n\n{things}, {at_least}{}{}\n",
        table(&columns, rows.chain(packages)),
        bytes(size),
        way(plan)
    )
}

/// What belongs to every release.
const ALL: &str = "all";

/// The releases of a row.
fn releases(of: &[Version], plan: &Plan) -> String {
    if of.len() == plan.releases.len() {
        return ALL.to_owned();
    }
    of.iter().map(Version::with_v).collect::<Vec<_>>().join(",")
}

/// The releases that an upgrade goes through.
fn way(plan: &Plan) -> String {
    let versions: Vec<String> = plan.releases.iter().map(Version::with_v).collect();
    match versions.as_slice() {
        [] | [_] => String::new(),
        hops => format!("; upgrade by way of {}", hops.join(", ")),
    }
}

/// Packages of operating systems, as a row for each system and architecture.
fn packages(plan: &Plan) -> impl Iterator<Item = [String; 4]> {
    let mut systems: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for row in &plan.rows {
        if let (Some(system), [arch]) = (&row.system, row.arches.as_slice()) {
            let (number, size) = systems.entry((system, arch)).or_default();
            *number += 1;
            *size += row.size.unwrap_or(0);
        }
    }
    systems.into_iter().map(|((system, arch), (number, size))| {
        let number = count(number, "package");
        [system.to_string(), number, arch.to_string(), bytes(size)]
    })
}
