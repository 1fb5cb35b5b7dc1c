//! Fetched files as entries of `bundle.json`, with the programs that they carry.

use artifact::{FileEntry, Program, Tree};
use camino::{Utf8Path, Utf8PathBuf};
use catalogue::{Carries, Resolved};
use futures::StreamExt;

use crate::error::{BundleError, Failed, Fault};
use crate::inspect::{self, Inspected};
use crate::lock::LockedFile;
use crate::resolve::WantedFile;

/// Looks into every file, several at once. A file whose content is at fault is taken out of the tree again.
pub(crate) async fn entries(
    tree: &Tree,
    files: Vec<(WantedFile, LockedFile)>,
) -> Result<Vec<FileEntry>, BundleError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let outcomes: Vec<_> = futures::stream::iter(files)
        .map(|(wanted, locked)| {
            let path = tree.path(Utf8Path::new(&wanted.file.path));
            async move {
                let title = wanted.title();
                let looked = tokio::task::spawn_blocking(move || entry(&path, wanted.file, locked));
                looked
                    .await
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
                    .map_err(|error| Failed {
                        title,
                        hint: error.hint(),
                        fault: Fault::Other,
                        error: error.to_string(),
                    })
            }
        })
        .buffered(threads)
        .collect()
        .await;
    let (mut entries, mut failed) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(entry) => entries.push(entry),
            Err(failure) => failed.push(failure),
        }
    }
    if failed.is_empty() {
        Ok(entries)
    } else {
        Err(BundleError::Content(failed))
    }
}

fn entry(
    path: &Utf8Path,
    file: Resolved,
    locked: LockedFile,
) -> Result<FileEntry, inspect::InspectError> {
    let inspected = Inspected {
        path,
        shown: Utf8Path::new(&file.path),
        size: locked.size,
        sha256: locked.sha256,
        arch: file.arch,
    };
    let programs: Vec<Program> =
        inspect::programs(&inspected, &file.carries).inspect_err(|error| {
            if error.is_content() {
                // Best effort: the error itself is what the person must see.
                let _ = std::fs::remove_file(path);
            }
        })?;
    let mode = if matches!(file.carries, Carries::Program(_)) {
        0o755
    } else {
        0o644
    };
    Ok(FileEntry {
        component: Some(file.component),
        version: Some(file.version.with_v()),
        arch: file.arch,
        origin: Some(file.url),
        checksum_from: locked.published,
        programs,
        ..FileEntry::new(
            Utf8PathBuf::from(file.path),
            locked.size,
            mode,
            locked.sha256,
        )
    })
}
