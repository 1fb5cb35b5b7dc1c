//! Pages of runs that were scripted.

mod of_engine;

use camino::Utf8Path;
use event::{Event, RunOutcome, Sink, UnitId};
use jiff::{SignedDuration, Timestamp};

use super::model::Model;
use super::*;
use crate::output::report::{End, Ended, Report};
use crate::output::script;

const FORGED: &str = "</style><script>alert(1)</script>\"'><img src=https://example.com/x onerror=alert(2)>\u{202e}gro";

fn reported(script: Vec<(Timestamp, Event)>) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let report = Report::in_dir(Utf8Path::from_path(dir.path()).unwrap());
    for (at, event) in script {
        report.on(at, &event);
    }
    let written = report.take_written().unwrap().unwrap();
    serde_json::from_slice(&std::fs::read(written.data).unwrap()).unwrap()
}

/// Without the style, an element a line.
fn readable(page: &str) -> String {
    let (_, body) = page.split_once("</style>").unwrap();
    body.replace(env!("CARGO_PKG_VERSION"), "VERSION")
        .replace("><", ">\n<")
}

#[test]
fn a_run_with_failures_from_its_head_to_its_foot() {
    insta::assert_snapshot!(readable(&of_run(&reported(script::troubled()))));
}

#[test]
fn a_run_that_changed_nothing_is_short() {
    let page = of_run(&reported(script::untroubled()));
    assert!(page.contains("Everything was as it should be; nothing was changed."));
    for section in ["#failures", "#changes", "#proofs"] {
        assert!(
            !page.contains(&format!("id=\"{}\"", &section[1..])),
            "{section}"
        );
    }
}

#[test]
fn work_without_hosts_is_a_page_as_well() {
    let page = of_run(&reported(script::hostless()));
    assert!(page.contains("id=\"stages\"") && !page.contains("id=\"hosts\""));
}

fn unit(id: u64, after: Option<u64>, place: [&str; 3], from: i64, took: u64, end: End) -> Ended {
    let [stage, host, title] = place;
    Ended {
        id: Some(UnitId(id)),
        after: after.map(UnitId),
        stage: stage.into(),
        task: Some(format!("{stage} on hosts")),
        host: (!host.is_empty()).then(|| host.into()),
        title: title.into(),
        bytes: None,
        started: Some(began() + SignedDuration::from_millis(from)),
        took: Some(took),
        tries: None,
        seen: None,
        warning: None,
        end,
        log: Vec::new(),
    }
}

fn began() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn run_of(units: Vec<Ended>) -> Run {
    Run {
        command: "install".into(),
        cluster: "lab".into(),
        started: Some(began()),
        outcome: Some(RunOutcome::Done),
        units,
        ..Run::default()
    }
}

fn changed() -> End {
    End::Changed {
        reason: "not there".into(),
    }
}

#[test]
fn whatever_is_said_stays_text() {
    let failed = End::Failed {
        error: FORGED.into(),
        hint: Some(FORGED.into()),
    };
    let skipped = End::Skipped {
        because: FORGED.into(),
    };
    let mut warned = unit(3, None, [FORGED, FORGED, FORGED], 0, 1, End::Satisfied);
    (warned.seen, warned.warning) = (Some(FORGED.into()), Some(FORGED.into()));
    let mut logged = unit(0, None, [FORGED, FORGED, FORGED], 0, 1, failed);
    logged.log = vec![FORGED.into()];
    let mut run = run_of(vec![
        logged,
        unit(
            1,
            Some(0),
            [FORGED, FORGED, FORGED],
            1,
            900,
            End::Changed {
                reason: FORGED.into(),
            },
        ),
        unit(2, Some(1), [FORGED, FORGED, FORGED], 901, 1, skipped),
        warned,
    ]);
    run.warnings = vec![FORGED.into()];
    (run.cluster, run.command) = (FORGED.into(), FORGED.into());
    let page = of_run(&run);
    assert!(page.matches("&lt;script&gt;").count() > 10, "{page}");
    assert_eq!(page.matches("</style>").count(), 1);
    for markup in ["<script", "<img", "\u{202e}"] {
        assert!(!page.contains(markup), "{markup}");
    }
    for tag in page.split('<').filter(|tag| tag.contains("onerror")) {
        assert!(
            tag.contains('>') && tag.find('>') < tag.find("onerror") || tag.contains("&quot;"),
            "{tag}"
        );
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_nothing_runs() {
    for page in [
        of_run(&reported(script::troubled())),
        of_plan(&of_engine::plan(3)),
    ] {
        let page = page.replace("<link rel=\"icon\" href=\"data:,\">", "");
        for foreign in [
            "http:",
            "https:",
            "src=",
            "url(",
            "@import",
            "<link",
            "<script",
            "<iframe",
            "<object",
            "javascript:",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn what_decided_the_time_is_the_chain_of_who_was_waited_for() {
    let run = run_of(vec![
        unit(0, None, ["unpack", "", "lab.tar.zst"], 0, 1_000, changed()),
        unit(
            1,
            None,
            ["os", "node1", "load modules"],
            1_000,
            500,
            changed(),
        ),
        unit(
            2,
            None,
            ["os", "node2", "load modules"],
            1_000,
            4_000,
            changed(),
        ),
        unit(
            3,
            Some(2),
            ["etcd", "node1", "write etcd.env"],
            5_000,
            100,
            changed(),
        ),
        unit(
            4,
            Some(3),
            ["etcd", "node1", "start etcd"],
            7_100,
            2_000,
            changed(),
        ),
        unit(
            5,
            Some(1),
            ["os", "node1", "set parameters"],
            1_500,
            100,
            End::Satisfied,
        ),
    ]);
    let links = path::decisive(&Model::of(&run)).unwrap();
    let told = |link: &path::Link| {
        let host = link.first().host.as_deref().unwrap_or("-");
        let (longest, span) = (&link.longest().title, link.span);
        format!(
            "{} {host} {longest} {}..{}",
            link.first().stage,
            span.from,
            span.to
        )
    };
    let told: Vec<String> = links.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "unpack - lab.tar.zst 0..1000",
            "os node2 load modules 1000..5000",
            "etcd node1 start etcd 5000..9100",
        ]
    );
}

#[test]
fn an_older_report_does_not_tell_what_decided_the_time() {
    let run = run_of(vec![unit(
        0,
        None,
        ["os", "node1", "load modules"],
        0,
        500,
        changed(),
    )]);
    assert!(path::decisive(&Model::of(&run)).is_none());
    assert!(!of_run(&run).contains("id=\"decided\""));
}

#[test]
fn five_thousand_hosts_are_a_page_that_a_browser_bears() {
    let mut units = Vec::new();
    for host in 0..5_000 {
        let name = format!("node{host}");
        for step in 0..20_u32 {
            let title = format!("upload part {step} to {name}");
            let stage = ["os", "runtime"][step as usize / 10];
            let end = if host % 100 == 7 && step == 19 {
                End::Failed {
                    error: format!("{name} does not answer"),
                    hint: None,
                }
            } else {
                changed()
            };
            let from = i64::from(step) * 1_000;
            let mut unit = unit(
                host * 20 + u64::from(step),
                None,
                [stage, &name, &title],
                from,
                900,
                end,
            );
            unit.seen = Some("it is there".into());
            units.push(unit);
        }
    }
    let page = of_run(&run_of(units));
    assert!(page.len() < 200_000, "{} bytes", page.len());
    // What failed alike is told once, and all hosts are counted.
    assert_eq!(page.matches("<article").count(), 1);
    assert!(
        page.contains("5,000 hosts") && page.contains("50 hosts"),
        "{page}"
    );
}
