use artifact::{Cargo, Departed, Journey, JourneyError, Medium, Past, depart};
use camino::Utf8Path;
use event::Outcome;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::DepartArgs;
use crate::error::Failure;
use crate::output::{Column, Format, Printer, bytes, count, table};
use crate::piece::{Piece, outcome};
use crate::{runtime, signals, signing};

#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    medium: &'a Utf8Path,
    list: &'a Utf8Path,
    past: Past,
    bundles: &'a [Cargo],
    files: usize,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

pub fn run(args: &DepartArgs, printer: &Printer) -> Result<(), Failure> {
    let medium = args.medium.as_path();
    let signer = args.sign.as_deref().map(signing::signer).transpose()?;
    let place = Medium::look(medium).map_err(|source| Failure::Read {
        path: medium.to_owned(),
        source,
    })?;
    let size = artifact::journey_size(medium)?;
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    let piece = Piece {
        stage: "depart",
        title: format!("what is on {medium} ({})", place.file_system),
        bytes: size,
    };
    let now = (env!("CARGO_PKG_VERSION"), Timestamp::now());
    let Departed { journey, past } = piece.run(
        &events,
        |progress| depart(medium, now, progress, &cancel),
        |result| {
            outcome(
                result,
                Outcome::Satisfied,
                JourneyError::verdict,
                "it must not leave",
            )
        },
    )?;
    let list = journey.write(medium, signer.as_ref(), &cancel)?;
    let key = signer.map(|signer| signer.fingerprint());
    warn(past, &journey, printer);
    if printer.format() == Format::Json {
        return Ok(printer.document(&Told {
            event: "departed",
            medium,
            list: &list,
            past,
            bundles: &journey.bundles,
            files: journey.files.len(),
            size: journey.size(),
            key,
        })?);
    }
    let what = (
        count(journey.files.len() as u64, "file"),
        bytes(journey.size()),
    );
    let may = printer.paint().good("may leave");
    let by = key.map_or_else(String::new, |key| format!(", signed with {key}"));
    Ok(printer.result(format_args!(
        "{medium}: {may} ({}, {}, {})\n\n{}\n\nlist: {list}{by}",
        what.0,
        what.1,
        told(past),
        drawn(&journey)
    ))?)
}

/// What is known of how it was read.
const fn told(past: Past) -> &'static str {
    match past {
        Past::Direct => "read from the medium itself",
        Past::Forgotten => "read anew, the kernel was asked to forget them",
        Past::Nowhere => "in memory",
    }
}

fn warn(past: Past, journey: &Journey, printer: &Printer) {
    match past {
        Past::Direct => {}
        Past::Forgotten => printer.warning(
            "this file system gives no way around the memory of this machine: unplug the medium, plug it in again, and let kubexm arrive look at it before it leaves",
        ),
        Past::Nowhere => printer.warning(
            "this is in the memory of this machine, and no medium: it is gone with the power",
        ),
    }
    for (path, missing) in journey.segments_elsewhere() {
        let missing: Vec<String> = missing.iter().map(u32::to_string).collect();
        printer.remark(format_args!(
            "of the bundle of {path}, these segments travel on other media: {}",
            missing.join(", ")
        ));
    }
}

fn drawn(journey: &Journey) -> String {
    let columns = [
        Column::Text("file"),
        Column::Text("what"),
        Column::Text("cluster"),
        Column::Number("serial"),
        Column::Number("size"),
    ];
    let rows = journey.files.iter().map(|file| {
        let cargo = journey.bundles.iter().find(|it| it.path == file.path);
        let (what, cluster, serial) = cargo.map_or_else(
            || ("file".to_owned(), "-".to_owned(), "-".to_owned()),
            |it| {
                (
                    it.part.to_string(),
                    it.cluster.clone(),
                    it.serial.to_string(),
                )
            },
        );
        vec![
            file.path.to_string(),
            what,
            cluster,
            serial,
            bytes(file.size),
        ]
    });
    table(&columns, rows)
}
