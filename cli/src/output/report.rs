use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use event::{Event, Outcome, RunOutcome, Sink, StageOutcome, Unit, UnitId};
use jiff::Timestamp;
use serde::Serialize;

/// Writes `report-<timestamp>.json` when the run ends: all of it, as data.
pub struct Report {
    dir: Utf8PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Run,
    running: HashMap<UnitId, (Timestamp, Unit)>,
    seen: HashMap<UnitId, Seen>,
    written: Option<io::Result<Utf8PathBuf>>,
}

/// The report's content. Times are in milliseconds.
#[derive(Default, Serialize)]
struct Run {
    kubexm: &'static str,
    command: String,
    cluster: String,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    outcome: Option<RunOutcome>,
    took: u64,
    changed: u64,
    satisfied: u64,
    failed: u64,
    skipped: u64,
    stages: Vec<EndedStage>,
    units: Vec<Ended>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct EndedStage {
    stage: String,
    outcome: StageOutcome,
    took: u64,
}

#[derive(Serialize)]
struct Ended {
    stage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
    #[serde(flatten)]
    seen: Option<Seen>,
    #[serde(flatten)]
    end: End,
}

/// What a unit that proves something has seen.
#[derive(Serialize)]
struct Seen {
    #[serde(rename = "seen")]
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum End {
    Ran(Outcome),
    Skipped {
        outcome: &'static str,
        because: String,
    },
}

impl Report {
    /// A report that will be written into this directory.
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            state: Mutex::default(),
        }
    }

    /// Where the report was written; none before the run has ended.
    pub fn take_written(&self) -> Option<io::Result<Utf8PathBuf>> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .written
            .take()
    }
}

impl Sink for Report {
    fn on(&self, at: Timestamp, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.record(at, event);
        if matches!(event, Event::RunFinished { .. }) {
            state.written = Some(write(&self.dir, &state.run));
        }
    }
}

impl State {
    fn record(&mut self, at: Timestamp, event: &Event) {
        let run = &mut self.run;
        match event {
            Event::RunStarted {
                command, cluster, ..
            } => {
                run.kubexm = env!("CARGO_PKG_VERSION");
                run.command.clone_from(command);
                run.cluster.clone_from(cluster);
                run.started = Some(at);
            }
            Event::StageFinished {
                stage,
                outcome,
                took,
            } => {
                run.stages.push(EndedStage {
                    stage: stage.clone(),
                    outcome: *outcome,
                    took: millis(*took),
                });
            }
            Event::Started(unit) => {
                self.running.insert(unit.id, (at, unit.clone()));
            }
            Event::Seen { id, what, warning } => {
                let seen = Seen {
                    what: what.clone(),
                    warning: warning.clone(),
                };
                self.seen.insert(*id, seen);
            }
            Event::Finished { id, outcome, took } => {
                if let Some((started, unit)) = self.running.remove(id) {
                    let end = End::Ran(outcome.clone());
                    let seen = self.seen.remove(id);
                    run.units
                        .push(Ended::of(unit, Some(started), Some(*took), end).having(seen));
                }
            }
            Event::Skipped { unit, because } => {
                let end = End::Skipped {
                    outcome: "skipped",
                    because: because.clone(),
                };
                run.units.push(Ended::of(unit.clone(), None, None, end));
            }
            Event::Warning { message, .. } => run.warnings.push(message.clone()),
            Event::RunFinished {
                outcome,
                took,
                changed,
                satisfied,
                failed,
                skipped,
            } => {
                run.finished = Some(at);
                run.outcome = Some(*outcome);
                run.took = millis(*took);
                (run.changed, run.satisfied) = (*changed, *satisfied);
                (run.failed, run.skipped) = (*failed, *skipped);
            }
            Event::StageStarted { .. }
            | Event::Progress { .. }
            | Event::Waiting { .. }
            | Event::Retrying { .. }
            | Event::Note { .. } => {}
        }
    }
}

impl Ended {
    fn of(unit: Unit, started: Option<Timestamp>, took: Option<Duration>, end: End) -> Self {
        let Unit {
            stage,
            task,
            host,
            title,
            bytes,
            ..
        } = unit;
        Self {
            stage,
            task,
            host,
            title,
            bytes,
            started,
            took: took.map(millis),
            seen: None,
            end,
        }
    }

    fn having(self, seen: Option<Seen>) -> Self {
        Self { seen, ..self }
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// So many reports are kept; the journal tells of what was before.
const KEPT: usize = 50;

/// Beside its final name first, so that a report is there whole or not at all. One that began in the same second as
/// another has a number, so that names still sort by time.
fn write(dir: &Utf8Path, run: &Run) -> io::Result<Utf8PathBuf> {
    fs::create_dir_all(dir)?;
    let stamp = run
        .started
        .unwrap_or_default()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer_pretty(&mut file, run)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    let mut path = dir.join(format!("report-{stamp}.json"));
    let mut number = 1;
    while let Err(failed) = file.persist_noclobber(&path) {
        if failed.error.kind() != io::ErrorKind::AlreadyExists {
            return Err(failed.error);
        }
        file = failed.file;
        number += 1;
        path = dir.join(format!("report-{stamp}_{number}.json"));
    }
    prune(dir)?;
    Ok(path)
}

/// Whether a file of the state is a report.
pub fn is_report(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.starts_with("report-") && path.extension() == Some("json")
}

/// Removes all reports but the newest.
fn prune(dir: &Utf8Path) -> io::Result<()> {
    let entries = dir.read_dir_utf8()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let mut reports: Vec<Utf8PathBuf> = paths.filter(|path| is_report(path)).collect();
    reports.sort();
    let old = reports.len().saturating_sub(KEPT);
    reports[..old].iter().try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::super::script;
    use super::*;

    fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    #[test]
    fn the_report_holds_the_whole_run_and_is_there_only_at_its_end() {
        let (_guard, dir) = scratch();
        let report = Report::in_dir(dir.join("state"));
        let mut script = script::troubled();
        let (at, end) = script.pop().unwrap();
        for (at, event) in script {
            report.on(at, &event);
        }
        assert!(report.take_written().is_none());
        assert!(!dir.join("state").exists());
        report.on(at, &end);
        let path = report.take_written().unwrap().unwrap();
        assert_eq!(path, dir.join("state/report-20261121T080000Z.json"));
        let names: Vec<_> = fs::read_dir(dir.join("state")).unwrap().collect();
        assert_eq!(
            names.len(),
            1,
            "something is left beside the report: {names:?}"
        );
        let text = fs::read_to_string(path).unwrap();
        insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    fn written(dir: &Utf8Path) -> String {
        let report = Report::in_dir(dir);
        for (at, event) in script::untroubled() {
            report.on(at, &event);
        }
        let path = report.take_written().unwrap().unwrap();
        path.file_name().unwrap().to_owned()
    }

    #[test]
    fn reports_of_one_second_stand_beside_each_other_and_sort_by_time() {
        let (_guard, dir) = scratch();
        let names = [written(&dir), written(&dir), written(&dir)];
        assert_eq!(
            names,
            [
                "report-20261121T080000Z.json",
                "report-20261121T080000Z_2.json",
                "report-20261121T080000Z_3.json"
            ]
        );
        assert!(names.is_sorted());
    }

    #[test]
    fn only_the_newest_reports_are_kept() {
        let (_guard, dir) = scratch();
        for year in 1900..1900 + KEPT {
            fs::write(dir.join(format!("report-{year}.json")), "{}").unwrap();
        }
        fs::write(dir.join("journal.jsonl"), "").unwrap();
        let newest = written(&dir);
        let there = |name: &str| dir.join(name).exists();
        assert!(there(&newest) && there("journal.jsonl"));
        assert!(!there("report-1900.json") && there("report-1901.json"));
    }

    #[test]
    fn a_report_that_cannot_be_written_is_an_error_that_the_caller_sees() {
        let (_guard, dir) = scratch();
        fs::write(dir.join("state"), "in the way").unwrap();
        let report = Report::in_dir(dir.join("state"));
        for (at, event) in script::untroubled() {
            report.on(at, &event);
        }
        assert!(report.take_written().unwrap().is_err());
    }
}
