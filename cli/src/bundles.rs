//! Opens, reads and unpacks bundles, with everything told on the way.

use std::num::NonZeroUsize;

use artifact::{
    Bundle, BundleError, Cancel, Principal, SignatureError, SpaceNeed, Taking, Tree, Unpacked,
    Verdict,
};
use camino::Utf8Path;
use event::{Events, Outcome};
use jiff::{Timestamp, Zoned};

use crate::error::Failure;
use crate::input;
use crate::output::{Printer, count};
use crate::piece::Piece;
use crate::set;

/// So many days before a key ends it is told of.
const SOON: i64 = 30;

/// Who signed the bundle, if one of the signers did.
pub fn signed_by(bundle: &Bundle, signers: &Utf8Path) -> Result<Principal, Failure> {
    let text = input::read_to_string(signers)?;
    bundle.signed_by(&text, &Zoned::now()).map_err(|source| {
        let at = match source {
            SignatureError::Signers(_) => signers,
            _ => bundle.path(),
        };
        Failure::Signature {
            path: at.to_owned(),
            source,
        }
    })
}

/// A key that is about to end is told of while there is time.
pub fn warn_of_end(by: &Principal, printer: &Printer) {
    let Some(until) = by.until else { return };
    let left = until.duration_since(Timestamp::now()).as_hours() / 24;
    if left < SOON {
        printer.warning(format_args!(
            "{} may sign until {until}, {left} days from now: then what it has signed is refused, unless the signers file says otherwise",
            by.name
        ));
    }
}

/// Reads every byte of a bundle.
pub fn verify(
    bundle: &Bundle,
    jobs: NonZeroUsize,
    events: &Events,
    cancel: &Cancel,
) -> Result<(), BundleError> {
    let title = bundle.path().to_string();
    let piece = Piece {
        stage: "verify",
        title,
        bytes: bundle.carried_size(),
    };
    piece.run(
        events,
        |progress| bundle.verify(jobs, progress, cancel),
        |result| match result {
            Ok(()) => Outcome::Satisfied,
            Err(error) => ended(error),
        },
    )
}

/// Fails where a delta builds on something that the tree has not.
pub fn require_rest(
    bundle: &Bundle,
    tree: &Tree,
    jobs: NonZeroUsize,
    events: &Events,
    cancel: &Cancel,
) -> Result<(), BundleError> {
    let piece = Piece {
        stage: "verify",
        title: format!("what {} needs of {}", bundle.path(), tree.root()),
        bytes: bundle.contents().content_size(),
    };
    piece.run(
        events,
        |progress| {
            let taking = Taking {
                jobs,
                progress,
                cancel,
            };
            bundle.require_rest(tree, taking)
        },
        |result| match result {
            Ok(()) => Outcome::Satisfied,
            Err(error) => ended(error),
        },
    )
}

/// `12 of 130 files`
pub fn files(bundle: &Bundle) -> String {
    let all = count(bundle.contents().files.len() as u64, "file");
    match bundle.carriage() {
        None => all,
        Some(_) => format!("{} of {all}", bundle.carried().count()),
    }
}

/// Fails where what a bundle holds has no room beside what its tree holds already.
pub fn require_space(bundle: &Bundle, tree: &Tree) -> Result<(), Failure> {
    Ok(artifact::check_space(&[SpaceNeed::to_unpack(
        bundle.contents(),
        tree,
    )])?)
}

/// Puts what a bundle holds into its tree, and takes out what only an earlier one held.
fn unpack(
    bundle: &Bundle,
    tree: &Tree,
    jobs: NonZeroUsize,
    events: &Events,
    cancel: &Cancel,
) -> Result<Unpacked, BundleError> {
    let title = format!("{} into {}", bundle.path(), tree.root());
    let piece = Piece {
        stage: "unpack",
        title,
        bytes: bundle.contents().content_size(),
    };
    piece.run(
        events,
        |progress| bundle.unpack(tree, jobs, progress, cancel),
        |result| match result {
            Ok(Unpacked {
                written: 0, pruned, ..
            }) if pruned.is_empty() => Outcome::Satisfied,
            Ok(Unpacked { written, kept, .. }) => Outcome::Changed {
                reason: format!(
                    "{} written, {kept} there already",
                    count(*written as u64, "file")
                ),
            },
            Err(error) => match ended(error) {
                Outcome::Failed { .. } => Outcome::Failed {
                    error: error.to_string(),
                    hint: error.hint(),
                },
                other => other,
            },
        },
    )
}

/// The same with all files of a bundle. Segments that are not among them may come later: no summary of a run tells which.
pub fn unpack_all(
    bundles: &[Bundle],
    tree: &Tree,
    jobs: NonZeroUsize,
    events: &Events,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for bundle in bundles {
        let unpacked = unpack(bundle, tree, jobs, events, cancel);
        missing = unpacked
            .map_err(|error| Failure::Summed(Box::new(error.into())))?
            .missing;
    }
    set::require_all(&missing, &bundles[0])
}

/// Where no summary follows, what is wrong in detail is told once, by the reporter of errors.
fn ended(error: &BundleError) -> Outcome {
    let error = match error.verdict() {
        _ if matches!(error, BundleError::Lacking { .. }) => {
            "it builds on files that are not there"
        }
        Verdict::Cancelled => return Outcome::Interrupted,
        Verdict::Refused => "the bundle is not what it should be",
        Verdict::Io => "reading or writing failed",
    };
    Outcome::Failed {
        error: error.to_owned(),
        hint: None,
    }
}
