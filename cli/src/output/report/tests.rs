//! What a run leaves behind it.

use std::fs;

use super::*;
use crate::output::script;

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
    let Written { data, page } = report.take_written().unwrap().unwrap();
    assert_eq!(data, dir.join("state/report-20261121T080000Z.json"));
    assert_eq!(page.unwrap(), data.with_extension("html"));
    let names: Vec<_> = fs::read_dir(dir.join("state")).unwrap().collect();
    assert_eq!(
        names.len(),
        2,
        "something is left beside the report and its page: {names:?}"
    );
    let text = fs::read_to_string(data).unwrap();
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

fn written(dir: &Utf8Path) -> String {
    let report = Report::in_dir(dir);
    for (at, event) in script::untroubled() {
        report.on(at, &event);
    }
    let written = report.take_written().unwrap().unwrap();
    written.data.file_name().unwrap().to_owned()
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
    for year in 1900..1950 {
        for ending in ["json", "html"] {
            fs::write(dir.join(format!("report-{year}.{ending}")), "{}").unwrap();
        }
    }
    fs::write(dir.join("journal.jsonl"), "").unwrap();
    let newest = written(&dir);
    let there = |name: &str| dir.join(name).exists();
    assert!(there(&newest) && there("journal.jsonl"));
    assert!(!there("report-1900.json") && there("report-1901.json"));
    assert!(!there("report-1900.html") && there("report-1901.html"));
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

#[test]
fn what_was_written_is_read_again() {
    let (_guard, dir) = scratch();
    let report = Report::in_dir(&dir);
    for (at, event) in script::troubled() {
        report.on(at, &event);
    }
    let written = report.take_written().unwrap().unwrap();
    let text = fs::read_to_string(written.data).unwrap();
    let run: Run = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string_pretty(&run).unwrap() + "\n", text);
}

#[test]
fn a_report_of_an_older_kubexm_is_read() {
    let text = r#"{"command": "install", "outcome": "failed", "units": [{"stage": "etcd", "host": "node1", "title":
        "start etcd", "outcome": "failed", "error": "no", "from_the_future": 1}]}"#;
    let run: Run = serde_json::from_str(text).unwrap();
    assert_eq!(
        run.units[0].end,
        End::Failed {
            error: "no".into(),
            hint: None
        }
    );
}

#[test]
fn a_failure_has_the_last_lines_of_its_hosts_log() {
    let (_guard, dir) = scratch();
    let log = dir.join("hosts/node2/log");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    let lines: Vec<String> = (0..5_000).map(|n| format!("line {n}")).collect();
    fs::write(&log, lines.join("\n") + "\n" + &"x".repeat(600)).unwrap();
    let report = Report::in_dir(&dir);
    for (at, event) in script::troubled() {
        report.on(at, &event);
    }
    let state = report.state();
    let failed = state.run.units.iter().find(|unit| !unit.log.is_empty());
    let failed = failed.unwrap();
    assert_eq!(failed.title, "start etcd on node2");
    assert_eq!((failed.log.len(), &*failed.log[0]), (12, "line 4989"));
    assert!(failed.log[11].ends_with("x ..."));
    assert_eq!(tail::of_host(&dir, "../node2"), Vec::<String>::new());
}
