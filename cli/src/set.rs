//! The files of one bundle: one that is whole or a delta, or segments. Which of them belong together is told by what is in
//! them, and never by their names.

use std::fs;

use artifact::{Awaited, Bundle, Carriage};
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Failure;
use crate::output::{Printer, bytes, count};

/// Opens what a person has named: files, or directories with segments in them. The first of the answer carries the configs, if
/// any does.
pub fn open(named: &[Utf8PathBuf], printer: &Printer) -> Result<Vec<Bundle>, Failure> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for path in named {
        if path.is_dir() {
            bundles.extend(segments_in(path, printer)?);
        } else {
            bundles.push(Bundle::open(path)?);
        }
    }
    let Some(first) = bundles.first() else {
        return Err(Failure::Usage {
            message: format!("there is no segment of a bundle in {}", list(named)),
            hint: Some("name the files of the bundle".to_owned()),
        });
    };
    if let Some(other) = bundles.iter().find(|other| !belong_together(first, other)) {
        return Err(Failure::Usage {
            message: format!(
                "{} and {} are not of one bundle: the one is of {}, the other of {}",
                first.path(),
                other.path(),
                identity(first),
                identity(other)
            ),
            hint: Some("name the files of one bundle; kubexm inspect tells of each".to_owned()),
        });
    }
    let mut seen = Vec::new();
    bundles.retain(|bundle| {
        let n = number(bundle);
        let is_new = !seen.contains(&n);
        seen.push(n);
        is_new
    });
    bundles.sort_by_key(|bundle| (!carries_config(bundle), number(bundle)));
    Ok(bundles)
}

/// Segments that did not come, as a failure of the run.
pub fn require_all(missing: &[Awaited], of: &Bundle) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let all = match of.carriage() {
        Some(Carriage::Segment { first, .. }) => first.len(),
        Some(Carriage::Delta { .. }) | None => 1,
    };
    let each = missing.iter().map(|awaited| {
        let files = count(awaited.files as u64, "file");
        format!("{} ({files}, {})", awaited.n, bytes(awaited.size))
    });
    Err(Failure::Awaiting {
        missing: each.collect::<Vec<_>>().join(", "),
        of: all,
    })
}

fn segments_in(dir: &Utf8Path, printer: &Printer) -> Result<Vec<Bundle>, Failure> {
    let read = |source| Failure::Read {
        path: dir.to_owned(),
        source,
    };
    let mut paths: Vec<Utf8PathBuf> = Vec::new();
    for entry in dir.read_dir_utf8().map_err(read)? {
        paths.push(entry.map_err(read)?.into_path());
    }
    paths.retain(|path| fs::metadata(path).is_ok_and(|meta| meta.is_file()));
    paths.sort();
    let mut found: Vec<Bundle> = Vec::new();
    for path in paths {
        match Bundle::open(&path) {
            Ok(bundle) if is_segment(&bundle) => found.push(bundle),
            Ok(_) => printer.warning(format_args!("{path} is no segment: it is left")),
            // What is no bundle at all is none of our business; a segment that is damaged is.
            Err(artifact::BundleError::NotABundle { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut sets: Vec<&Bundle> = Vec::new();
    for bundle in &found {
        if !sets.iter().any(|known| belong_together(known, bundle)) {
            sets.push(bundle);
        }
    }
    if let [one, other, ..] = sets.as_slice() {
        return Err(Failure::Usage {
            message: format!(
                "{dir} holds segments of more than one bundle: {} of {}, {} of {}",
                one.path(),
                identity(one),
                other.path(),
                identity(other)
            ),
            hint: Some("name the files of one of them; kubexm inspect tells of each".to_owned()),
        });
    }
    Ok(found)
}

fn is_segment(bundle: &Bundle) -> bool {
    matches!(bundle.carriage(), Some(Carriage::Segment { .. }))
}

fn number(bundle: &Bundle) -> u32 {
    match bundle.carriage() {
        Some(Carriage::Segment { n, .. }) => *n,
        Some(Carriage::Delta { .. }) | None => 0,
    }
}

/// The very same file may be there twice; otherwise all are segments, cut at the same places.
fn belong_together(a: &Bundle, b: &Bundle) -> bool {
    let places = |bundle: &Bundle| match bundle.carriage() {
        Some(Carriage::Segment { first, .. }) => Some(first.clone()),
        Some(Carriage::Delta { .. }) | None => None,
    };
    a.digest() == b.digest() && places(a) == places(b)
}

fn carries_config(bundle: &Bundle) -> bool {
    let configs = &bundle.contents().configs;
    let mut carried = bundle.carried().map(|carried| &carried.file.path);
    carried.any(|path| configs.iter().any(|config| config.path == *path))
}

/// What tells bundles apart for people.
fn identity(bundle: &Bundle) -> String {
    let contents = bundle.contents();
    let digest = bundle.digest().to_string();
    format!(
        "{} (serial {}, {})",
        contents.cluster,
        contents.serial,
        &digest[..12]
    )
}

fn list(paths: &[Utf8PathBuf]) -> String {
    let paths: Vec<&str> = paths.iter().map(|path| path.as_str()).collect();
    paths.join(", ")
}
