//! Pages of the engine's graphs, and of a run on hosts that answer at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Cx, Data, Graph, Inventory, Journal, Order, RunOptions, Stage, State, Step, StepError, Task,
};
use event::{Event, Events};
use host::fake::FakeHost;
use pipeline::RunReport;
use tokio_util::sync::CancellationToken;

use super::readable;
use crate::output::page::{Plan, of_plan};
use crate::output::report::Report;

/// Needed everywhere; it fails on one host.
struct Put {
    number: usize,
}

#[async_trait]
impl Step for Put {
    fn id(&self) -> String {
        format!("put {}", self.number)
    }

    fn describe(&self) -> String {
        format!("upload part {}", self.number)
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        match cx.host.name() {
            "node7" if self.number == 3 => {
                Err(StepError::new("no space is left\n/dev/vda1 is full").with_hint("free some"))
            }
            _ => Ok(State::Satisfied),
        }
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

fn graph(hosts: usize) -> Graph {
    let names: Vec<String> = (1..=hosts).map(|host| format!("node{host}")).collect();
    let task = |number: usize| {
        let step: Arc<dyn Step> = Arc::new(Put { number });
        Task::new(format!("part {number}")).on_each(&names, |_| vec![step.clone()])
    };
    let stage = |name: &'static str, from| {
        Stage::new(name, (from..from + 3).map(task).collect()).after(Order::AllHosts)
    };
    Graph::of(engine::Plan::new(
        "install",
        vec![stage("os", 1), stage("runtime", 4)],
    ))
    .unwrap()
}

pub fn plan(hosts: usize) -> Plan<'static> {
    Plan {
        command: "install",
        cluster: "lab",
        aim: "Kubernetes v1.36.2".into(),
        nodes: graph(hosts).linked().collect(),
        roles: (1..=hosts)
            .map(|host| {
                let role = if host == 1 { "etcd + master" } else { "worker" };
                (format!("node{host}"), role.to_owned())
            })
            .collect(),
    }
}

#[test]
fn a_plan_says_who_does_what_and_who_waits() {
    insta::assert_snapshot!(readable(&of_plan(&plan(3))));
}

#[test]
fn the_plan_of_many_hosts_is_no_longer() {
    let (few, many) = (of_plan(&plan(10)).len(), of_plan(&plan(1_000)).len());
    assert!(many < few + 1_000, "{few} and {many} bytes");
}

#[tokio::test]
async fn the_page_of_a_run_of_the_engine() {
    let graph = graph(200);
    let dir = tempfile::tempdir().unwrap();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let fake = |number: usize| {
        let name = format!("node{number}");
        let host: Arc<dyn host::Host> = Arc::new(FakeHost::new(&name));
        (name, host)
    };
    let inventory: Inventory = (1..=200).map(fake).collect();
    let journal = Journal::open(&dir.join("journal.jsonl")).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 16,
        inject_error: None,
    };
    let report = Arc::new(Report::in_dir(dir));
    let events = Events::to(vec![report.clone()]);
    events.emit(&Event::RunStarted {
        command: "install".into(),
        cluster: "lab".into(),
        units: graph.len() as u64,
    });
    let cancel = CancellationToken::new();
    let ran: RunReport = engine::run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap();
    events.emit(&Event::RunFinished {
        outcome: ran.outcome,
        took: Duration::from_secs(1),
        changed: ran.changed,
        satisfied: ran.satisfied,
        failed: ran.failures.len() as u64,
        skipped: ran.skipped,
    });
    let written = report.take_written().unwrap().unwrap();
    let page = std::fs::read_to_string(written.page.unwrap()).unwrap();
    for said in [
        "1 step failed",
        "no space is left\n/dev/vda1 is full",
        "free some",
        "<b>600 steps</b> on node1",
        "node1\u{2013}node6, node8\u{2013}node200",
        "id=\"decided\"",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}
