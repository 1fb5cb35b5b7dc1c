use artifact::{Extract, ExtractError, SpaceNeed, Verdict};
use camino::{Utf8Path, Utf8PathBuf};
use event::Outcome;
use serde::Serialize;

use crate::args::ExtractArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes};
use crate::piece::Piece;
use crate::{bundles, runtime, set, signals};

#[derive(Serialize)]
struct Extracted<'a> {
    event: &'static str,
    what: &'a str,
    path: &'a Utf8Path,
    size: u64,
}

pub fn run(args: &ExtractArgs, printer: &Printer) -> Result<(), Failure> {
    let opened = set::open(std::slice::from_ref(&args.file), printer)?;
    if let Some(signers) = &args.signers {
        for bundle in &opened {
            bundles::signed_by(bundle, signers)?;
        }
    }
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    let found = Extract::find(&opened, &args.what, &cancel)?;
    let to = place(args.out.as_deref(), &found);
    if to.symlink_metadata().is_ok() {
        return Err(ExtractError::There(to).into());
    }
    artifact::check_space(&[SpaceNeed {
        dir: to.parent().unwrap_or(Utf8Path::new("")).to_owned(),
        need: found.size(),
        largest: found.largest(),
    }])?;
    let piece = Piece {
        stage: "extract",
        title: format!("{} to {to}", args.what),
        bytes: found.size(),
    };
    piece.run(
        &events,
        |progress| found.write(&to, runtime::threads(), progress, &cancel),
        outcome,
    )?;
    tell(&args.what, &to, found.size(), printer)
}

fn tell(what: &str, path: &Utf8Path, size: u64, printer: &Printer) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        let event = "extracted";
        return Ok(printer.document(&Extracted {
            event,
            what,
            path,
            size,
        })?);
    }
    Ok(printer.result(format_args!("{path}: {what} ({})", bytes(size)))?)
}

/// A directory that is there is where it goes, under its own name.
fn place(out: Option<&Utf8Path>, found: &Extract<'_>) -> Utf8PathBuf {
    match out {
        None => found.name().into(),
        Some(dir) if dir.is_dir() => dir.join(found.name()),
        Some(out) => out.to_owned(),
    }
}

fn outcome(result: &Result<(), ExtractError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Changed {
            reason: String::new(),
        },
        Err(ExtractError::Bundle(error)) if error.verdict() == Verdict::Cancelled => {
            Outcome::Interrupted
        }
        // What is wrong is told once, by the reporter of errors.
        Err(_) => Outcome::Failed {
            error: "nothing was taken out".to_owned(),
            hint: None,
        },
    }
}
