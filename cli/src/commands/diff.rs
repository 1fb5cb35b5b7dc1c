use artifact::{Amount, ChangeKind, Changed, Contents, Difference, Sha256};
use serde::Serialize;

use crate::args::DiffArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Paint, Printer, bytes, count, harmless, table};

/// The result as data.
#[derive(Serialize)]
struct Compared<'a> {
    before: Side<'a>,
    after: Side<'a>,
    #[serde(flatten)]
    difference: &'a Difference,
}

#[derive(Serialize)]
struct Side<'a> {
    cluster: &'a str,
    digest: String,
    serial: u64,
    kubernetes: Vec<String>,
    arches: Vec<String>,
    files: u64,
    bytes: u64,
}

pub fn run(args: &DiffArgs, printer: &Printer) -> Result<(), Failure> {
    let before = Contents::told_by(&args.before)?;
    let after = Contents::told_by(&args.after)?;
    let difference = Difference::between(&before.0, &after.0);
    let [before, after] = [Side::of(&before), Side::of(&after)];
    if printer.format() == Format::Json {
        let compared = Compared {
            before,
            after,
            difference: &difference,
        };
        return Ok(printer.document(&compared)?);
    }
    let mut parts = vec![facts(&before, &after, &difference, printer.paint())];
    let lists = difference.lists().filter(|(_, list)| !list.is_empty());
    parts.extend(lists.map(|(title, list)| changes(title, list)));
    if difference.is_none() {
        parts.push("both hold the same".to_owned());
    }
    Ok(printer.result(parts.join("\n\n"))?)
}

impl<'a> Side<'a> {
    fn of((contents, digest): &'a (Contents, Sha256)) -> Self {
        let releases = contents.releases.iter();
        let arches = contents.arches.iter();
        Self {
            cluster: &contents.cluster,
            digest: digest.oci(),
            serial: contents.serial,
            kubernetes: releases
                .map(|release| release.kubernetes.with_v())
                .collect(),
            arches: arches.map(ToString::to_string).collect(),
            files: contents.files.len() as u64,
            bytes: contents.content_size(),
        }
    }
}

fn facts(before: &Side<'_>, after: &Side<'_>, difference: &Difference, paint: Paint) -> String {
    let unpacked = |side: &Side<'_>| {
        let files = count(side.files, "file");
        format!("{} in {files}", bytes(side.bytes))
    };
    let amount = |Amount { files, bytes: size }| match files {
        0 => "nothing".to_owned(),
        _ => format!("{} in {}", bytes(size), count(files, "file")),
    };
    let both = |of: &dyn Fn(&Side<'_>) -> String| {
        let [before, after] = [of(before), of(after)];
        if before == after {
            before
        } else {
            format!("{before} -> {after}")
        }
    };
    let rows = [
        ("cluster", both(&|side| side.cluster.to_owned())),
        ("kubernetes", both(&|side| side.kubernetes.join(", "))),
        ("arch", both(&|side| side.arches.join(", "))),
        ("serial", both(&|side| side.serial.to_string())),
        ("digest", both(&|side| side.digest.clone())),
        ("unpacked", both(&unpacked)),
        ("new", amount(difference.new)),
        ("gone", amount(difference.gone)),
    ];
    let line = |(name, value): (&str, String)| {
        format!(
            "{} {}",
            paint.dim(format_args!("{:<11}", format!("{name}:"))),
            harmless::word(&value)
        )
    };
    rows.map(line).join("\n")
}

fn changes(title: &'static str, list: &[Changed]) -> String {
    let is_scoped = list.iter().any(|changed| !changed.scope.is_empty());
    let scope = is_scoped.then_some(Column::Text("for"));
    let columns: Vec<Column> = [Column::Text(title)]
        .into_iter()
        .chain(scope)
        .chain([Column::Text("before"), Column::Text("after")])
        .chain([Column::Number("size before"), Column::Number("size after")])
        .collect();
    let row = |changed: &Changed| {
        let (before, after) = match changed.kind() {
            ChangeKind::Content => (versions(&changed.before), "other content".to_owned()),
            ChangeKind::Added | ChangeKind::Removed | ChangeKind::Version => {
                (versions(&changed.before), versions(&changed.after))
            }
        };
        let size = |size, of: &[String]| {
            if of.is_empty() {
                "-".to_owned()
            } else {
                bytes(size)
            }
        };
        let mut cells = vec![changed.name.clone()];
        cells.extend(scope.map(|_| match changed.scope.as_str() {
            "" => "all".to_owned(),
            scope => scope.to_owned(),
        }));
        cells.extend([before, after]);
        cells.push(size(changed.size_before, &changed.before));
        cells.push(size(changed.size_after, &changed.after));
        cells
    };
    table(&columns, list.iter().map(row))
}

fn versions(of: &[String]) -> String {
    match of {
        [] => "-".to_owned(),
        of => of.join(", "),
    }
}
