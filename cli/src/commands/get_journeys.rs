//! The journal of what has come on media.

use artifact::{Arrival, Book};

use crate::args::JourneysArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Printer, bytes, table};

pub fn run(args: &JourneysArgs, printer: &Printer) -> Result<(), Failure> {
    let mut arrivals: Vec<Arrival> = Vec::new();
    for book in Book::all(&args.work_dir)? {
        for page in book.pages()? {
            match Book::read(&page) {
                Ok(receipt) => arrivals.extend(receipt.receipt.arrivals),
                Err(error) => printer.warning(error),
            }
        }
    }
    arrivals.sort_by_key(|arrival| arrival.arrived);
    match printer.format() {
        Format::Json => printer.document(&arrivals)?,
        Format::Text if arrivals.is_empty() => printer.result(format_args!(
            "nothing has come to {} yet, as far as kubexm arrive was asked",
            args.work_dir
        ))?,
        Format::Text => printer.result(drawn(&arrivals))?,
    }
    Ok(())
}

fn drawn(arrivals: &[Arrival]) -> String {
    let columns = [
        Column::Text("arrived"),
        Column::Text("departed"),
        Column::Text("cluster"),
        Column::Text("bundle"),
        Column::Number("serial"),
        Column::Number("size"),
        Column::Text("list signed by"),
        Column::Text("what"),
    ];
    let rows = arrivals.iter().map(|arrival| {
        let first = arrival.bundles.first();
        let parts: Vec<String> = arrival
            .bundles
            .iter()
            .map(|it| it.part.to_string())
            .collect();
        vec![
            arrival.arrived.strftime("%Y-%m-%d %H:%MZ").to_string(),
            arrival.departed.strftime("%Y-%m-%d %H:%MZ").to_string(),
            arrival.cluster.clone(),
            first.map_or_else(String::new, |it| it.bundle.to_string()[..12].to_owned()),
            first.map_or_else(String::new, |it| it.serial.to_string()),
            bytes(arrival.bytes),
            signed_by(arrival),
            parts.join(", "),
        ]
    });
    table(&columns, rows)
}

fn signed_by(arrival: &Arrival) -> String {
    let names: Vec<&str> = arrival
        .signed_by
        .iter()
        .map(|by| by.name.as_str())
        .collect();
    match names.as_slice() {
        [] => "-".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use artifact::{Cargo, Part, Sha256, SignedBy};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn arrivals_in_columns() {
        let at = |hour: i64| Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap();
        let segment = |n| Cargo {
            path: format!("demo.{n}-of-3.tar.zst").into(),
            cluster: "demo".into(),
            serial: 7,
            bundle: Sha256::of(b"demo"),
            part: Part::Segment { n, of: 3 },
        };
        let arrival = |bundles: Vec<Cargo>, signed_by: &[&str]| Arrival {
            journey: Sha256::of(b"list"),
            departed: at(0),
            arrived: at(30),
            medium: "/media/usb".into(),
            cluster: "demo".into(),
            files: bundles.len() as u64,
            bundles,
            bytes: 3 << 30,
            signed_by: signed_by
                .iter()
                .map(|name| SignedBy {
                    name: (*name).to_owned(),
                    key: "SHA256:key".to_owned(),
                })
                .collect(),
        };
        insta::assert_snapshot!(drawn(&[
            arrival(vec![segment(1), segment(2)], &["ops@example.com", "second"]),
            arrival(vec![segment(3)], &[]),
        ]), @r"
        arrived            departed           cluster  bundle        serial     size  list signed by           what
        2026-09-22 20:13Z  2026-09-21 14:13Z  demo     2a97516c354b       7  3.0 GiB  ops@example.com, second  segment 1 of 3, segment 2 of 3
        2026-09-22 20:13Z  2026-09-21 14:13Z  demo     2a97516c354b       7  3.0 GiB  -                        segment 3 of 3
        ");
    }
}
