//! Scripted runs for the tests of sinks.

use std::time::Duration;

use event::{Event, Outcome, RunOutcome, StageOutcome, Unit, UnitId};
use jiff::{SignedDuration, Timestamp};

type Script = Vec<(Timestamp, Event)>;

fn unit(id: u64, stage: &str, host: &str, title: &str, bytes: Option<u64>) -> Unit {
    Unit {
        id: UnitId(id),
        stage: stage.into(),
        task: Some(format!("{stage} on hosts")),
        host: Some(host.into()),
        title: title.into(),
        bytes,
        after: None,
    }
}

fn started(id: u64, stage: &str, host: &str, title: &str, bytes: Option<u64>) -> Event {
    Event::Started(unit(id, stage, host, title, bytes))
}

fn finished(id: u64, outcome: Outcome, millis: u64) -> Event {
    Event::Finished {
        id: UnitId(id),
        outcome,
        took: Duration::from_millis(millis),
    }
}

fn changed(reason: &str) -> Outcome {
    Outcome::Changed {
        reason: reason.into(),
    }
}

/// Each event half a second after the one before.
fn timed(events: Vec<Event>) -> Script {
    let start: Timestamp = "2026-11-21T08:00:00Z".parse().unwrap();
    (0..)
        .zip(events)
        .map(|(n, event)| (start + SignedDuration::from_millis(n * 500), event))
        .collect()
}

/// Everything that can happen: changes, a retry, a failure with what it took along, a warning.
pub fn troubled() -> Script {
    timed(vec![
        Event::RunStarted { command: "install".into(), cluster: "mycluster".into(), units: 6 },
        Event::Warning {
            message: "these keys do nothing yet: spec.dns, spec.storage".into(),
            hint: Some("remove them, or wait for a later version".into()),
        },
        Event::StageStarted { stage: "preflight".into() },
        started(0, "preflight", "node1", "gather facts of node1", None),
        started(1, "preflight", "node2", "gather facts of node2", None),
        Event::Retrying {
            id: UnitId(1),
            attempt: 2,
            error: "connection reset by peer".into(),
            delay: Duration::from_secs(2),
        },
        finished(0, Outcome::Satisfied, 400),
        finished(1, Outcome::Satisfied, 2_600),
        Event::StageFinished {
            stage: "preflight".into(),
            outcome: StageOutcome::Satisfied,
            took: Duration::from_secs(3),
        },
        Event::StageStarted { stage: "etcd".into() },
        started(2, "etcd", "node1", "upload etcd to node1", Some(40 << 20)),
        started(3, "etcd", "node2", "start etcd on node2", None),
        Event::Progress { id: UnitId(2), done: 10 << 20, total: Some(40 << 20) },
        Event::Progress { id: UnitId(2), done: 15 << 20, total: Some(40 << 20) },
        Event::Progress { id: UnitId(2), done: 20 << 20, total: Some(40 << 20) },
        finished(
            3,
            Outcome::Failed {
                error: "etcd.service did not start\nexit status 1: listen tcp 10.0.0.2:2380: address already in use"
                    .into(),
                hint: Some("another etcd runs on node2: stop it, or run kubexm delete there".into()),
            },
            900,
        ),
        Event::Skipped {
            unit: unit(4, "etcd", "node2", "check the health of etcd on node2", None),
            because: "start etcd on node2 failed".into(),
        },
        finished(2, changed("not there"), 3_400),
        started(5, "etcd", "node1", "start etcd on node1", None),
        finished(5, changed("not running"), 1_100),
        Event::StageFinished {
            stage: "etcd".into(),
            outcome: StageOutcome::Failed,
            took: Duration::from_millis(64_200),
        },
        Event::Note { message: "the journal is in .kubexm/mycluster/state".into() },
        Event::RunFinished {
            outcome: RunOutcome::Failed,
            took: Duration::from_millis(67_300),
            changed: 2,
            satisfied: 2,
            failed: 1,
            skipped: 1,
        },
    ])
}

/// A second run: all is as it should be.
pub fn untroubled() -> Script {
    timed(vec![
        Event::RunStarted {
            command: "install".into(),
            cluster: "mycluster".into(),
            units: 1,
        },
        Event::StageStarted {
            stage: "etcd".into(),
        },
        started(0, "etcd", "node1", "start etcd on node1", None),
        finished(0, Outcome::Satisfied, 30),
        Event::StageFinished {
            stage: "etcd".into(),
            outcome: StageOutcome::Satisfied,
            took: Duration::from_millis(30),
        },
        Event::RunFinished {
            outcome: RunOutcome::Done,
            took: Duration::from_millis(50),
            changed: 0,
            satisfied: 1,
            failed: 0,
            skipped: 0,
        },
    ])
}

/// Three hosts, of which two give the same answer again and again, and then fail alike.
pub fn unanswered() -> Script {
    let retrying = |id, attempt, host: &str| Event::Retrying {
        id: UnitId(id),
        attempt,
        error: format!("{host} does not answer\n  no route to host"),
        delay: Duration::from_secs(2),
    };
    let failed = |host: &str| Outcome::Failed {
        error: format!("{host} does not answer\n  no route to host"),
        hint: Some("is it switched on?".into()),
    };
    timed(vec![
        Event::RunStarted {
            command: "install".into(),
            cluster: "mycluster".into(),
            units: 7,
        },
        Event::StageStarted { stage: "os".into() },
        started(0, "os", "node1", "load modules", None),
        started(1, "os", "node2", "load modules", None),
        started(2, "os", "node3", "load modules", None),
        retrying(1, 1, "node2"),
        retrying(2, 1, "node3"),
        finished(0, changed("not there"), 400),
        retrying(1, 2, "node2"),
        retrying(2, 2, "node3"),
        started(3, "os", "node1", "set parameters", None),
        finished(1, failed("node2"), 4_000),
        finished(3, Outcome::Satisfied, 100),
        started(4, "runtime", "node1", "upload containerd", None),
        Event::Retrying {
            id: UnitId(4),
            attempt: 1,
            error: "connection reset by peer".into(),
            delay: Duration::from_secs(1),
        },
        finished(2, failed("node3"), 4_100),
        Event::Skipped {
            unit: unit(5, "os", "node2", "set parameters", None),
            because: "'load modules' failed on node2".into(),
        },
        Event::StageFinished {
            stage: "os".into(),
            outcome: StageOutcome::Failed,
            took: Duration::from_secs(5),
        },
        finished(4, changed("not there"), 3_000),
        Event::StageFinished {
            stage: "runtime".into(),
            outcome: StageOutcome::Changed,
            took: Duration::from_secs(3),
        },
        Event::RunFinished {
            outcome: RunOutcome::Failed,
            took: Duration::from_secs(8),
            changed: 2,
            satisfied: 1,
            failed: 2,
            skipped: 1,
        },
    ])
}

/// Hosts that are warned of the same, and a task behind the one that warns.
pub fn doubted() -> Script {
    let mut events = vec![Event::StageStarted {
        stage: "preflight".into(),
    }];
    for n in 0..8 {
        let host = format!("node{}", n + 1);
        events.push(started(n, "preflight", &host, "look at the host", None));
        events.push(Event::Seen {
            id: UnitId(n),
            what: "a firewall".into(),
            warning: Some(format!("firewalld runs on {host}")),
        });
        events.push(finished(n, Outcome::Satisfied, 400));
        let mut marked = unit(n + 8, "preflight", &host, "mark the host", None);
        marked.task = Some("marks".into());
        events.push(Event::Started(marked));
        events.push(finished(n + 8, changed("not there"), 100));
    }
    events.push(Event::StageFinished {
        stage: "preflight".into(),
        outcome: StageOutcome::Changed,
        took: Duration::from_secs(4),
    });
    timed(events)
}

/// A host that waits for ten seconds.
pub fn patient() -> Script {
    let waits = |seconds| Event::Waiting {
        id: UnitId(1),
        for_what: "no source yet".to_owned(),
        waited: Duration::from_secs(seconds),
    };
    let title = "the clock goes by a time source";
    timed(vec![
        started(1, "proof", "node1", title, None),
        waits(0),
        waits(10),
        finished(1, Outcome::Satisfied, 12_000),
    ])
}

/// A hundred hosts, each receiving a file, none done.
pub fn crowded() -> Script {
    let mut events = vec![
        Event::RunStarted {
            command: "install".into(),
            cluster: "big".into(),
            units: 100,
        },
        Event::StageStarted {
            stage: "runtime".into(),
        },
    ];
    for n in 0..100 {
        let host = format!("node{}", n + 1);
        events.push(started(
            n,
            "runtime",
            &host,
            &format!("upload containerd to {host}"),
            Some(64 << 20),
        ));
    }
    timed(events)
}

/// A bundle: work that happens on no host.
pub fn hostless() -> Script {
    let unit = Unit {
        id: UnitId(0),
        stage: "files".into(),
        task: None,
        host: None,
        title: "etcd-v3.5.24-linux-amd64.tar.gz".into(),
        bytes: Some(20 << 20),
        after: None,
    };
    timed(vec![
        Event::RunStarted {
            command: "bundle".into(),
            cluster: "mycluster".into(),
            units: 1,
        },
        Event::StageStarted {
            stage: "files".into(),
        },
        Event::Started(unit),
        Event::Progress {
            id: UnitId(0),
            done: 5 << 20,
            total: Some(20 << 20),
        },
        finished(0, changed(""), 4_000),
        Event::StageFinished {
            stage: "files".into(),
            outcome: StageOutcome::Changed,
            took: Duration::from_secs(4),
        },
        Event::RunFinished {
            outcome: RunOutcome::Done,
            took: Duration::from_millis(4_100),
            changed: 1,
            satisfied: 0,
            failed: 0,
            skipped: 0,
        },
    ])
}
