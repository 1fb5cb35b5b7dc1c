mod unfinished;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::time::Duration;

use artifact::WorkDir;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::args::ReportArgs;
use crate::config;
use crate::error::Failure;
use crate::output::{Column, Format, Printer, page, report, table, took};

pub fn run(args: &ReportArgs, printer: &Printer) -> Result<(), Failure> {
    if args.list {
        return list(&state(args, printer)?, printer);
    }
    let source = chosen(args, printer)?;
    let run: report::Run = read(&source)?;
    if args.run.is_none() {
        tell_unfinished(&source, run.started, printer);
    }
    let page = args.out.clone().unwrap_or_else(|| report::page_of(&source));
    only_a_page(&page)?;
    report::write_page(&page, &run).map_err(|source| Failure::Write {
        path: page.clone(),
        source,
    })?;
    match printer.format() {
        Format::Json => printer.document(&Made { page })?,
        Format::Text => printer.result(page)?,
    }
    Ok(())
}

/// Says where the last run is none that this page could be of.
fn tell_unfinished(source: &Utf8Path, began: Option<Timestamp>, printer: &Printer) {
    let state = source.parent().unwrap_or(source);
    match unfinished::told(state, began) {
        Ok(None) => {}
        Ok(Some(told)) => printer.warning(told),
        Err(error) => printer.warning(error),
    }
}

#[derive(Serialize)]
struct Made {
    page: Utf8PathBuf,
}

/// The report of the run that is asked for.
fn chosen(args: &ReportArgs, printer: &Printer) -> Result<Utf8PathBuf, Failure> {
    if let Some(name) = &args.run {
        let path = Utf8Path::new(name);
        if name.contains('/') || path.extension() == Some("json") {
            return Ok(path.to_owned());
        }
    }
    let state = state(args, printer)?;
    let reports = reports(&state)?;
    match &args.run {
        None => Ok(reports[reports.len() - 1].clone()),
        Some(name) => {
            let wanted = report::named(&state, name);
            if reports.contains(&wanted) {
                return Ok(wanted);
            }
            Err(Failure::Usage {
                message: format!("no run of {state} is called {name}"),
                hint: Some("kubexm report --list tells which there are".to_owned()),
            })
        }
    }
}

/// All reports of a cluster, of which there is one at least.
fn reports(state: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let reports = report::reports(state).map_err(|source| Failure::Read {
        path: state.to_owned(),
        source,
    })?;
    if reports.is_empty() {
        return Err(Failure::Usage {
            message: format!("{state} holds no report of a run"),
            hint: Some(
                "a report is written when a run ends; what one that was killed has done is in journal.jsonl there"
                    .to_owned(),
            ),
        });
    }
    Ok(reports)
}

/// Where the runs of a cluster are: that of the config, or the only one here.
fn state(args: &ReportArgs, printer: &Printer) -> Result<Utf8PathBuf, Failure> {
    let work_dir = WorkDir::new(&args.work_dir);
    if let Some(path) = &args.config {
        let config = config::load(path, printer)?;
        return Ok(work_dir.tree(config.parsed.cluster.name()).state());
    }
    let all = args.work_dir.join(".kubexm");
    let entries = match all.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody(&all)),
        Err(source) => return Err(Failure::Read { path: all, source }),
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let mut clusters: Vec<Utf8PathBuf> = paths.filter(|path| path.join("state").is_dir()).collect();
    clusters.sort();
    match clusters.as_slice() {
        [] => Err(nobody(&all)),
        [only] => Ok(only.join("state")),
        several => {
            let names = several.iter().filter_map(|path| path.file_name());
            Err(Failure::Usage {
                message: format!(
                    "{all} holds the runs of several clusters: {}",
                    names.collect::<Vec<_>>().join(", ")
                ),
                hint: Some("name one by its config: -f FILE".to_owned()),
            })
        }
    }
}

fn nobody(all: &Utf8Path) -> Failure {
    Failure::Usage {
        message: format!("{all} holds no run of any cluster"),
        hint: Some("--work-dir names the directory that the run was given".to_owned()),
    }
}

fn read<T: DeserializeOwned>(path: &Utf8Path) -> Result<T, Failure> {
    let unreadable = |source| Failure::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| match error.io_error_kind() {
        Some(_) => unreadable(error.into()),
        None => Failure::Usage {
            message: format!("{path} is no report of a run: {error}"),
            hint: Some("a report is called report-<time>.json, and is written by kubexm at the end of a run".to_owned()),
        },
    })
}

/// Nothing but a page gives way to a page.
fn only_a_page(path: &Utf8Path) -> Result<(), Failure> {
    let mut beginning = Vec::new();
    match File::open(path).and_then(|file| file.take(PAGE_BEGINS).read_to_end(&mut beginning)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(_) if page::is_page(&beginning) => return Ok(()),
        Ok(_) => {}
        Err(source) => {
            return Err(Failure::Write {
                path: path.to_owned(),
                source,
            });
        }
    }
    Err(Failure::Usage {
        message: format!("{path} is there, and is no page of kubexm"),
        hint: Some("name another file with -o".to_owned()),
    })
}

/// In so many bytes a page says whose it is.
const PAGE_BEGINS: u64 = 512;

/// What a list tells of a run.
#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Listed {
    #[serde(skip_deserializing)]
    run: String,
    command: String,
    outcome: Option<String>,
    took: u64,
    changed: u64,
    failed: u64,
    #[serde(skip_deserializing)]
    report: Utf8PathBuf,
}

fn list(state: &Utf8Path, printer: &Printer) -> Result<(), Failure> {
    let mut runs = Vec::new();
    for path in reports(state)? {
        match read::<Listed>(&path) {
            Ok(listed) => runs.push(Listed {
                run: report::name_of(&path).to_owned(),
                report: path,
                ..listed
            }),
            Err(failure) => printer.warning(failure),
        }
    }
    match printer.format() {
        Format::Json => printer.document(&runs)?,
        Format::Text => printer.result(drawn(&runs))?,
    }
    Ok(())
}

fn drawn(runs: &[Listed]) -> String {
    let columns = [
        Column::Text("run"),
        Column::Text("verb"),
        Column::Text("outcome"),
        Column::Number("took"),
        Column::Number("changed"),
        Column::Number("failed"),
    ];
    let rows = runs.iter().map(|run| {
        vec![
            run.run.clone(),
            run.command.clone(),
            run.outcome
                .clone()
                .unwrap_or_else(|| "not ended".to_owned()),
            took(Duration::from_millis(run.took)),
            run.changed.to_string(),
            run.failed.to_string(),
        ]
    });
    table(&columns, rows)
}
