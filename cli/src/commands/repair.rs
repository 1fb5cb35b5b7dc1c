use artifact::{Mended, ParityError, Repair, SpaceNeed, Whole};
use camino::{Utf8Path, Utf8PathBuf};
use event::Outcome;
use serde::Serialize;

use crate::args::RepairArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes, count};
use crate::piece::{Piece, outcome};
use crate::{runtime, signals};

#[derive(Serialize)]
struct Told {
    event: &'static str,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    name: String,
    path: Utf8PathBuf,
    size: u64,
    /// How many blocks were made again.
    blocks: usize,
}

const FAILED: &str = "it cannot be repaired";

pub fn run(args: &RepairArgs, printer: &Printer) -> Result<(), Failure> {
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    let piece = Piece {
        stage: "repair",
        title: "what is left, and its parity".to_owned(),
        bytes: 0,
    };
    let repair = piece.run(
        &events,
        |_| Repair::look(&args.files, &cancel),
        |result| outcome(result, Outcome::Satisfied, ParityError::verdict, FAILED),
    )?;
    let work = repair.work();
    artifact::check_space(&[SpaceNeed {
        dir: args.out.clone(),
        need: work,
        largest: repair
            .files()
            .iter()
            .map(|file| file.size)
            .max()
            .unwrap_or(0),
    }])?;
    let piece = Piece {
        stage: "repair",
        title: format!("into {}", args.out),
        bytes: work,
    };
    let changed = match work {
        0 => Outcome::Satisfied,
        _ => Outcome::Changed {
            reason: String::new(),
        },
    };
    let mended = piece.run(
        &events,
        |progress| repair.mend(&args.out, progress, &cancel),
        |result| outcome(result, changed, ParityError::verdict, FAILED),
    )?;
    tell(&repair, &mended, printer)
}

fn tell(repair: &Repair, mended: &[Mended], printer: &Printer) -> Result<(), Failure> {
    let files: Vec<File> = repair
        .files()
        .into_iter()
        .map(|whole| described(whole, mended))
        .collect();
    if printer.format() == Format::Json {
        let event = "repaired";
        return Ok(printer.document(&Told { event, files })?);
    }
    for file in files {
        let is_new = mended.iter().any(|one| one.path == file.path);
        let state = match file.blocks {
            _ if !is_new => "as it should be".to_owned(),
            0 => "put together".to_owned(),
            blocks => format!("{} made again", count(blocks as u64, "block")),
        };
        printer.result(format_args!(
            "{}: {state} ({})",
            file.path,
            bytes(file.size)
        ))?;
    }
    Ok(())
}

fn described(whole: Whole, mended: &[Mended]) -> File {
    let new = |one: &&Mended| one.path.file_name() == Some(whole.name.as_str());
    match (whole.at, mended.iter().find(new)) {
        (Some(path), _) => File {
            name: whole.name,
            path,
            size: whole.size,
            blocks: 0,
        },
        (None, new) => File {
            path: new.map_or_else(|| Utf8Path::new("").to_owned(), |new| new.path.clone()),
            blocks: new.map_or(0, |new| new.blocks),
            name: whole.name,
            size: whole.size,
        },
    }
}
