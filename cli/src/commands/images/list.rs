use pipeline::{ImageInRegistry, Wanted};
use serde::Serialize;

use super::look;
use crate::args::ImagesListArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Printer, bytes, table};
use crate::site;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    /// None where the registry cannot read it.
    digest: Option<String>,
    /// Of all architectures, in bytes.
    size: u64,
    named_by: &'static str,
    /// The hosts whose registry has it.
    hosts: &'a [String],
}

pub fn run(args: &ImagesListArgs, printer: &Printer) -> Result<(), Failure> {
    let site = site::existing(&args.config, &args.work_dir, printer)?;
    let seen = look(&site, &args.access, printer)?;
    let rows: Vec<Row<'_>> = seen.images.iter().map(row).collect();
    match printer.format() {
        Format::Json => printer.document(&rows)?,
        Format::Text if rows.is_empty() => printer.result("the registry holds no image")?,
        Format::Text => printer.result(drawn(&rows))?,
    }
    Ok(())
}

fn row(image: &ImageInRegistry) -> Row<'_> {
    Row {
        name: &image.name,
        digest: image.digest.map(|digest| digest.oci()),
        size: image.size,
        named_by: match image.wanted {
            Wanted::ByBundle => "bundle",
            Wanted::ByCluster => "cluster",
            Wanted::ByNobody => "nobody",
        },
        hosts: &image.hosts,
    }
}

/// A digest is told by its beginning; `--output json` has all of it.
const DIGITS: usize = "sha256:".len() + 12;

fn drawn(rows: &[Row<'_>]) -> String {
    let columns = [
        Column::Text("image"),
        Column::Text("digest"),
        Column::Number("size"),
        Column::Text("named by"),
        Column::Text("registry"),
    ];
    let lines = rows.iter().map(|row| {
        let digest = row.digest.as_deref();
        vec![
            row.name.to_owned(),
            digest.map_or_else(
                || "damaged".to_owned(),
                |digest| digest[..DIGITS].to_owned(),
            ),
            bytes(row.size),
            row.named_by.to_owned(),
            row.hosts.join(","),
        ]
    });
    table(&columns, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_who_names_what() {
        let image = |name: &str, digest: Option<&str>, wanted| ImageInRegistry {
            name: name.to_owned(),
            digest: digest.map(|of| artifact::Sha256::of(of.as_bytes())),
            size: 3 << 20,
            wanted,
            hosts: vec!["node5".to_owned()],
        };
        let images = [
            image("registry.k8s.io/pause:3.10", Some("a"), Wanted::ByBundle),
            image("quay.io/team/app:1.4", Some("b"), Wanted::ByCluster),
            image("quay.io/team/app:1.3", None, Wanted::ByNobody),
        ];
        let rows: Vec<Row<'_>> = images.iter().map(row).collect();
        insta::assert_snapshot!(drawn(&rows), @r"
        image                       digest                  size  named by  registry
        registry.k8s.io/pause:3.10  sha256:ca978112ca1b  3.0 MiB  bundle    node5
        quay.io/team/app:1.4        sha256:3e23e8160039  3.0 MiB  cluster   node5
        quay.io/team/app:1.3        damaged              3.0 MiB  nobody    node5
        ");
    }
}
