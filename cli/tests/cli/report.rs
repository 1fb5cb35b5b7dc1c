//! Pages of runs: made at the end of each run, and made anew.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::delete::site;
use super::{kubexm, told};

const STATE: &str = ".kubexm/small/state";

/// A report of a run that began at this time.
fn put(dir: &Path, time: &str, outcome: &str) {
    let state = dir.join(STATE);
    fs::create_dir_all(&state).unwrap();
    let text = format!(
        r#"{{"kubexm": "0.1.0", "command": "install", "cluster": "small", "outcome": "{outcome}", "took": 245000,
            "changed": 12, "failed": 1, "units": [{{"stage": "etcd", "host": "node1", "title": "start etcd", "outcome": "satisfied"}}]}}"#
    );
    fs::write(state.join(format!("report-{time}.json")), text).unwrap();
}

#[test]
fn the_last_run_is_the_one_unless_another_is_named() {
    let site = site();
    put(site.path(), "20261121T080000Z", "failed");
    put(site.path(), "20261121T090000Z", "done");
    let dir = site.path();
    insta::assert_snapshot!(told(dir, &["report"]), @r"
    exit 0
    -- stdout
    ./.kubexm/small/state/report-20261121T090000Z.html
    ");
    let page = |path: &str| fs::read_to_string(dir.join(path)).unwrap();
    let last = page(".kubexm/small/state/report-20261121T090000Z.html");
    assert!(last.starts_with("<!DOCTYPE html>") && last.contains("install <b>small</b>"));
    let named = ["report", "20261121T080000Z", "-o", "night.html"];
    assert!(told(dir, &named).contains("-- stdout\nnight.html\n"));
    assert!(page("night.html").contains("not done"));
    // As a file, of whichever machine; and a second time over the same page.
    let file = [
        "report",
        "./.kubexm/small/state/report-20261121T090000Z.json",
        "-o",
        "night.html",
    ];
    assert!(told(dir, &file).starts_with("exit 0"));
    assert!(!page("night.html").contains("not done"));
}

#[test]
fn a_later_run_that_was_killed_is_told_of() {
    let site = site();
    put(site.path(), "20261121T080000Z", "done");
    let journal = site.path().join(STATE).join("journal.jsonl");
    let began = r#"{"record":"run-started","at":"2026-11-21T09:00:00Z","plan":"install","bundle":""}
{"record":"began","at":"2026-11-21T09:00:01Z","key":"a","node":"os/kernel/node1/load modules","reason":"differs"}
{"record":"ended","at":"2026-11-21T09:00:02Z","key":"a","node":"os/kernel/node1/load modules","result":"changed"}
{"record":"began","at":"2026-11-21T09:00:03Z","key":"b","node":"etcd/members/node1/run etcd","reason":"differs"}
"#;
    fs::write(&journal, began).unwrap();
    insta::assert_snapshot!(told(site.path(), &["report"]), @r"
    exit 0
    -- stdout
    ./.kubexm/small/state/report-20261121T080000Z.html
    -- stderr
    warning: a later run has no report, for it was killed or goes on: install, begun 2026-11-21 09:00:00 UTC; begun and not ended: etcd/members/node1/run etcd
    ");
    let ended = r#"{"record":"run-ended","at":"2026-11-21T09:00:04Z","result":"Failed"}"#;
    fs::write(&journal, format!("{began}{ended}\n")).unwrap();
    assert!(!told(site.path(), &["report"]).contains("warning"));
}

#[test]
fn the_runs_are_listed() {
    let site = site();
    put(site.path(), "20261121T080000Z", "failed");
    put(site.path(), "20261121T090000Z_2", "done");
    fs::write(site.path().join(STATE).join("report-1.json"), "{").unwrap();
    insta::assert_snapshot!(told(site.path(), &["report", "--list", "-f", "site.yaml"]), @r"
    exit 0
    -- stdout
    run                 verb     outcome    took  changed  failed
    20261121T080000Z    install  failed   4m 05s       12       1
    20261121T090000Z_2  install  done     4m 05s       12       1
    -- stderr
    warning: ./.kubexm/small/state/report-1.json is no report of a run: EOF while parsing an object at line 1 column 1
    ");
    let output = kubexm(site.path(), &["report", "--list", "--output", "json"])
        .output()
        .unwrap();
    let runs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(runs[1]["run"], "20261121T090000Z_2");
}

#[test]
fn what_is_no_run_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let empty = site();
    let site = site();
    put(site.path(), "20261121T080000Z", "done");
    fs::write(site.path().join("notes.txt"), "mine").unwrap();
    fs::write(site.path().join("other.json"), "[1, 2]").unwrap();
    let several = super::delete::site();
    put(several.path(), "20261121T080000Z", "done");
    fs::create_dir_all(several.path().join(".kubexm/large/state")).unwrap();
    let said: Vec<String> = [
        (dir.path(), &["report"][..]),
        (empty.path(), &["report", "-f", "site.yaml"]),
        (several.path(), &["report"]),
        (site.path(), &["report", "20250101T000000Z"]),
        (site.path(), &["report", "gone.json"]),
        (site.path(), &["report", "other.json"]),
        (site.path(), &["report", "-o", "notes.txt"]),
        (site.path(), &["report", "-o", "nowhere/page.html"]),
        (site.path(), &["report", "--list", "-o", "x.html"]),
    ]
    .into_iter()
    .map(|(dir, args)| format!("$ kubexm {}\n{}", args.join(" "), told(dir, args)))
    .collect();
    assert_eq!(
        fs::read_to_string(site.path().join("notes.txt")).unwrap(),
        "mine"
    );
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_run_names_its_page_and_no_secret_is_in_it() {
    let site = site();
    for verb in [&["delete", "cluster", "--yes"][..], &["check"]] {
        let text = told(site.path(), &[verb, &["-f", "site.yaml"]].concat());
        assert!(text.starts_with("exit 1"), "{text}");
        let named = text
            .lines()
            .filter_map(|line| line.strip_prefix("report: "));
        let pages: Vec<&str> = named.collect();
        assert_eq!(pages.len(), 1, "{text}");
        let page = fs::read_to_string(site.path().join(pages[0])).unwrap();
        assert!(
            page.contains("127.0.0.1"),
            "it does not tell what failed: {page}"
        );
    }
    let mut files = 0;
    for entry in fs::read_dir(site.path().join(STATE)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
            assert!(
                !text.contains("hunter2"),
                "the password is in {}",
                path.display()
            );
        }
    }
    assert!(files >= 6, "reports, pages, journal, lock: {files}");
}
