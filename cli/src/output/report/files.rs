//! Reports as files of a cluster's state: `report-<time>.json`, and its page beside it.

use std::fs;
use std::io::{self, BufWriter, Write};

use camino::{Utf8Path, Utf8PathBuf};

use super::Run;
use crate::output::page;

/// So many reports are kept; the journal tells of what was before.
const KEPT: usize = 50;
const PREFIX: &str = "report-";
const DATA: &str = "json";
const PAGE: &str = "html";

/// Where a run was written down.
#[derive(Debug)]
pub struct Written {
    pub data: Utf8PathBuf,
    pub page: io::Result<Utf8PathBuf>,
}

/// Beside its final name first, so that a report is there whole or not at all. One that began in the same second as
/// another has a number, so that names still sort by time.
pub fn write(dir: &Utf8Path, run: &Run) -> io::Result<Written> {
    fs::create_dir_all(dir)?;
    let stamp = run
        .started
        .unwrap_or_default()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    let mut out = BufWriter::new(file.as_file_mut());
    serde_json::to_writer_pretty(&mut out, run)?;
    out.write_all(b"\n")?;
    out.flush()?;
    drop(out);
    file.as_file().sync_all()?;
    let mut data = dir.join(format!("{PREFIX}{stamp}.{DATA}"));
    let mut number = 1;
    while let Err(failed) = file.persist_noclobber(&data) {
        if failed.error.kind() != io::ErrorKind::AlreadyExists {
            return Err(failed.error);
        }
        file = failed.file;
        number += 1;
        data = dir.join(format!("{PREFIX}{stamp}_{number}.{DATA}"));
    }
    let page = page_of(&data);
    let page = write_page(&page, run).map(|()| page);
    prune(dir)?;
    Ok(Written { data, page })
}

/// Writes a page, whole or not at all.
pub fn write_page(path: &Utf8Path, run: &Run) -> io::Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != "" => dir,
        _ => Utf8Path::new("."),
    };
    // The error of a file in a directory that is not there would name that file.
    fs::metadata(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(page::of_run(run).as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The page that belongs to a report.
pub fn page_of(report: &Utf8Path) -> Utf8PathBuf {
    report.with_extension(PAGE)
}

/// What the run of a report is called: the time at which it began.
pub fn name_of(report: &Utf8Path) -> &str {
    let stem = report.file_stem().unwrap_or_default();
    stem.strip_prefix(PREFIX).unwrap_or(stem)
}

/// The report of the run that is called so.
pub fn named(dir: &Utf8Path, name: &str) -> Utf8PathBuf {
    dir.join(format!("{PREFIX}{name}.{DATA}"))
}

/// All reports of a cluster, in the order of time. None where there is no such directory.
pub fn reports(dir: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    let entries = match dir.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let mut reports: Vec<Utf8PathBuf> = paths.filter(|path| is_report(path)).collect();
    reports.sort();
    Ok(reports)
}

/// Whether a file of the state is a report.
fn is_report(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.starts_with(PREFIX) && path.extension() == Some(DATA)
}

/// Removes all reports but the newest, with their pages.
fn prune(dir: &Utf8Path) -> io::Result<()> {
    let reports = reports(dir)?;
    let old = reports.len().saturating_sub(KEPT);
    for report in &reports[..old] {
        fs::remove_file(report)?;
        match fs::remove_file(page_of(report)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
