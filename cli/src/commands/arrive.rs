use std::fs;
use std::num::NonZeroUsize;

use artifact::{
    Arrival, Arrived, Book, Bundle, BundleError, Cancel, Carriage, Contents, Held, JourneyError,
    Medium, Receipt, Sha256, SignatureError, Signer, Trust, WorkDir, arrive,
};
use camino::{Utf8Path, Utf8PathBuf};
use event::{Events, Outcome};
use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::args::ArriveArgs;
use crate::error::Failure;
use crate::output::{Format, Printer, bytes, count};
use crate::piece::{Piece, outcome};
use crate::{bundles, input, runtime, signals, signing};

#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    medium: &'a Utf8Path,
    arrivals: &'a [Arrival],
    receipts: &'a [Utf8PathBuf],
    strangers: &'a [Utf8PathBuf],
}

pub fn run(args: &ArriveArgs, printer: &Printer) -> Result<(), Failure> {
    let signer = args.sign.as_deref().map(signing::signer).transpose()?;
    let events = printer.work();
    let runtime = runtime::start()?;
    let cancel = signals::cancel(&runtime, &events)?;
    let arrived = compared(args, (&events, &cancel))?;
    for by in &arrived.signed_by {
        bundles::warn_of_end(by, printer);
    }
    for stranger in &arrived.strangers {
        printer.warning(format_args!(
            "{stranger} has not left with this medium: nobody has vouched for it"
        ));
    }
    let back = back(args)?;
    if back.is_none() {
        printer.warning(format_args!(
            "{} cannot be written to: the receipts are in {} alone; -o DIR writes them elsewhere as well",
            args.medium, args.work_dir
        ));
    }
    let mut notes = Vec::new();
    for digest in digests(&arrived) {
        notes.push(entered(
            args,
            &arrived,
            digest,
            (&events, &cancel),
            printer,
        )?);
    }
    let mut receipts = Vec::new();
    for note in &notes {
        receipts.push(carried_back(note, back, signer.as_ref())?);
    }
    tell(args, &arrived, &notes, &receipts, printer)
}

fn compared(args: &ArriveArgs, (events, cancel): (&Events, &Cancel)) -> Result<Arrived, Failure> {
    let signers = args.signers.as_deref();
    let text = signers.map(input::read_to_string).transpose()?;
    let now = Zoned::now();
    let piece = Piece {
        stage: "arrive",
        title: format!("what {} has brought", args.medium),
        bytes: artifact::journey_size(&args.medium)?,
    };
    let arrived = piece.run(
        events,
        |progress| {
            let trust = text.as_deref().map(|signers| Trust {
                signers,
                now: &now,
                threshold: args.threshold.unwrap_or(NonZeroUsize::MIN),
            });
            arrive(&args.medium, trust, progress, cancel)
        },
        |result| {
            outcome(
                result,
                Outcome::Satisfied,
                JourneyError::verdict,
                "it is not what has left",
            )
        },
    );
    arrived.map_err(|error| match error {
        JourneyError::Signature { path, source } => Failure::Signature {
            path: match source {
                SignatureError::Signers(_) => signers.map_or(path, Utf8Path::to_owned),
                _ => path,
            },
            source,
        },
        other => other.into(),
    })
}

/// Where receipts go to be carried back.
fn back(args: &ArriveArgs) -> Result<Option<&Utf8Path>, Failure> {
    let Some(out) = args.out.as_deref() else {
        let medium = Medium::look(&args.medium).map_err(|source| Failure::Read {
            path: args.medium.clone(),
            source,
        })?;
        return Ok((!medium.is_read_only).then_some(args.medium.as_path()));
    };
    fs::create_dir_all(out).map_err(|source| Failure::Write {
        path: out.to_owned(),
        source,
    })?;
    Ok(Some(out))
}

/// Each bundle once, in the order of the list.
fn digests(arrived: &Arrived) -> Vec<Sha256> {
    let mut digests = Vec::new();
    for bundle in &arrived.bundles {
        if !digests.contains(&bundle.digest()) {
            digests.push(bundle.digest());
        }
    }
    digests
}

/// What was noted of one bundle.
struct Note {
    receipt: Receipt,
    arrival: Arrival,
    page: Utf8PathBuf,
}

fn entered(
    args: &ArriveArgs,
    arrived: &Arrived,
    digest: Sha256,
    (events, cancel): (&Events, &Cancel),
    printer: &Printer,
) -> Result<Note, Failure> {
    let of = arrived.bundles.iter().filter(|it| it.digest() == digest);
    let here: Vec<&Bundle> = of.collect();
    let bundle = here[0];
    let cluster = &bundle.contents().cluster;
    let work_dir = WorkDir::new(&args.work_dir);
    let book = Book::of(&work_dir, cluster)?;
    older(&book, bundle, &work_dir, printer)?;
    let tree = work_dir.tree(cluster);
    let is_delta = |it: &&&Bundle| matches!(it.carriage(), Some(Carriage::Delta { .. }));
    let mut rest: Vec<Held> = Vec::new();
    if let Some(delta) = here.iter().find(is_delta) {
        match bundles::require_rest(delta, &tree, runtime::threads(), events, cancel) {
            Ok(()) => rest.extend(bundle.contents().files.iter().map(Held::from)),
            Err(error @ BundleError::Lacking { .. }) => {
                let hint = error.hint().unwrap_or_default();
                printer.warning(format_args!("{error}\n{hint}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let arrival = Arrival::of(arrived, digest, args.medium.clone(), Timestamp::now());
    let page = book.page(digest);
    let receipt = book
        .enter(&here, &rest, arrival.clone(), env!("CARGO_PKG_VERSION"))?
        .expect("there is a bundle of each digest");
    Ok(Note {
        receipt,
        arrival,
        page,
    })
}

/// A list and a bundle may be signed, and old.
fn older(
    book: &Book,
    bundle: &Bundle,
    work_dir: &WorkDir,
    printer: &Printer,
) -> Result<(), Failure> {
    let contents = bundle.contents();
    let mut newest = match Contents::of_tree(&work_dir.tree(&contents.cluster)) {
        Ok((held, _)) if held.cluster == contents.cluster => held.serial,
        _ => 0,
    };
    for page in book.pages()? {
        let receipt = Book::read(&page)?;
        let arrivals = receipt.receipt.arrivals.iter();
        let serials = arrivals.flat_map(|arrival| arrival.bundles.iter().map(|it| it.serial));
        newest = newest.max(serials.max().unwrap_or(0));
    }
    if newest > contents.serial {
        printer.warning(format_args!(
            "{} is older than what has come before for {} (serial {} after {newest}); a bundle that is signed may be an old one",
            bundle.path(),
            contents.cluster,
            contents.serial
        ));
    }
    Ok(())
}

/// The receipt that travels; where nothing can be written, the one in the tree.
fn carried_back(
    note: &Note,
    back: Option<&Utf8Path>,
    signer: Option<&Signer>,
) -> Result<Utf8PathBuf, Failure> {
    match back {
        Some(dir) => Ok(note.receipt.write(dir, signer)?),
        None => Ok(note.page.clone()),
    }
}

fn tell(
    args: &ArriveArgs,
    arrived: &Arrived,
    notes: &[Note],
    receipts: &[Utf8PathBuf],
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.format() == Format::Json {
        let arrivals: Vec<Arrival> = notes.iter().map(|note| note.arrival.clone()).collect();
        return Ok(printer.document(&Told {
            event: "arrived",
            medium: &args.medium,
            arrivals: &arrivals,
            receipts,
            strangers: &arrived.strangers,
        })?);
    }
    let journey = &arrived.journey;
    let files = count(journey.files.len() as u64, "file");
    let left = printer.paint().good("as it left");
    printer.result(format_args!(
        "{}: {left} on {} ({files}, {})",
        args.medium,
        journey.departed.strftime("%Y-%m-%d %H:%M:%SZ"),
        bytes(journey.size())
    ))?;
    for by in &arrived.signed_by {
        printer.result(format_args!("signed by {} ({})", by.name, by.fingerprint))?;
    }
    for (note, receipt) in notes.iter().zip(receipts) {
        let parts: Vec<String> = note
            .arrival
            .bundles
            .iter()
            .map(|it| it.part.to_string())
            .collect();
        let state = match note.receipt.inventory.bundle {
            Some(_) => "all of it is here",
            None => "not all of it has come",
        };
        printer.result(format_args!(
            "{} ({}): {state}; receipt: {receipt}",
            note.arrival.cluster,
            parts.join(", ")
        ))?;
    }
    Ok(())
}
