//! What is asked of a host together, and when it is asked anew.

use std::sync::Arc;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Asks, Cx, Data, Graph, Inventory, Journal, Plan, Retry, RunOptions, RunReport, Slot, SlotId,
    Stage, State, Step, StepError, Task, run,
};
use event::Events;
use host::fake::FakeHost;
use host::{Command, HostError, Output};
use tokio_util::sync::CancellationToken;

/// A file that holds its own name and, where it says so, a second one that is asked for when the first is there.
struct File {
    name: String,
    then: Option<&'static str>,
    asks: Asks,
    takes: Option<Slot<()>>,
    fills: Option<Slot<()>>,
}

impl File {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            then: None,
            asks: Asks::Host,
            takes: None,
            fills: None,
        }
    }

    fn step(self) -> Arc<dyn Step> {
        Arc::new(self)
    }
}

#[async_trait]
impl Step for File {
    fn id(&self) -> String {
        self.name.clone()
    }

    fn describe(&self) -> String {
        self.id()
    }

    fn retry(&self) -> Retry {
        Retry {
            attempts: 1,
            ..Retry::NETWORK
        }
    }

    fn fills(&self) -> Vec<SlotId> {
        self.fills.iter().map(Slot::id).collect()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.takes.iter().map(Slot::id).collect()
    }

    fn asks(&self) -> Asks {
        self.asks
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        if let Some(slot) = &self.takes {
            assert!(slot.get().is_some(), "checked before its turn");
        }
        for name in [&*self.name].into_iter().chain(self.then) {
            let ask = Command::new(["is", name]).as_root();
            if !cx.host.run(&ask).await?.ok() {
                return Ok(State::needed("is not there"));
            }
        }
        if let Some(slot) = &self.fills {
            slot.fill(());
        }
        Ok(State::Satisfied)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let make = Command::new(["make", &self.name]).as_root();
        cx.host.run(&make).await?;
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// A host on which these files are not there yet.
fn host(name: &str, absent: &[&str]) -> Arc<FakeHost> {
    let mut absent: Vec<String> = absent.iter().map(|file| (*file).to_owned()).collect();
    Arc::new(FakeHost::new(name).on_command(move |command, _| {
        let (verb, file) = command.text().split_once(' ')?;
        if verb == "make" {
            absent.retain(|other| other != file);
        }
        let status = u32::from(absent.iter().any(|other| other == file));
        Some(Ok(Output {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }))
    }))
}

fn files(names: &[&str]) -> Vec<Arc<dyn Step>> {
    names.iter().map(|name| File::new(name).step()).collect()
}

/// A host and what is done there.
type Part<'a> = (&'a Arc<FakeHost>, Vec<Arc<dyn Step>>);

async fn done(plan: Vec<Part<'_>>) -> RunReport {
    let inventory: Inventory = plan
        .iter()
        .map(|(host, _)| {
            let host: Arc<dyn host::Host> = Arc::clone(host) as _;
            (host.name().to_owned(), host)
        })
        .collect();
    let tasks = plan.into_iter().enumerate().map(|(at, (host, steps))| {
        let task = Task::new(format!("task {at}"));
        let task = task.after(engine::Order::AllHosts);
        task.on(host::Host::name(&**host), steps)
    });
    let graph = Graph::of(Plan::new("test", vec![Stage::new("all", tasks.collect())])).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 16,
        inject_error: None,
    };
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap()
}

const MANY: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

#[tokio::test]
async fn where_nothing_is_to_do_all_is_asked_at_once() {
    let host = host("node1", &[]);
    let mut steps = files(&MANY);
    steps.push(
        File {
            then: Some("i"),
            ..File::new("h")
        }
        .step(),
    );
    let report = done(vec![(&host, steps)]).await;
    assert_eq!((report.satisfied, report.changed), (8, 0));
    // What it is, what all ask first, and what one asks then.
    assert_eq!(host.round_trips(), 3);
    assert_eq!(host.transcript().lines().count(), 9);
}

#[tokio::test]
async fn what_is_done_makes_all_that_was_told_before_void() {
    let host = host("node1", &["c"]);
    let report = done(vec![(&host, files(&MANY))]).await;
    assert_eq!((report.satisfied, report.changed), (6, 1));
    // All; c, which is done and asked for again; then d alone, e with f, and g.
    let told = "# is b # is c # is d # is e # is f # is g # is a # make c # is c # is d # is f # is e # is g";
    let transcript = host.transcript().replace("= 1\n", "");
    assert_eq!(transcript.lines().collect::<Vec<_>>().join(" "), told);
    assert_eq!(host.round_trips(), 1 + 1 + 2 + 3);
}

#[tokio::test]
async fn what_others_do_that_may_concern_the_host_makes_it_void_as_well() {
    let (one, two) = (host("node1", &[]), host("node2", &["joined"]));
    let join = File {
        asks: Asks::Anybody,
        ..File::new("joined")
    };
    let plan = vec![
        (&one, files(&["a"])),
        (&two, vec![join.step()]),
        (&one, files(&["b"])),
    ];
    let report = done(plan).await;
    assert_eq!((report.satisfied, report.changed), (2, 1));
    assert_eq!(one.transcript().matches("is b").count(), 2);
    // What is of one host alone concerns no other.
    let (one, two) = (host("node1", &[]), host("node2", &["x"]));
    let plan = vec![
        (&one, files(&["a"])),
        (&two, files(&["x"])),
        (&one, files(&["b"])),
    ];
    done(plan).await;
    assert_eq!(one.transcript().matches("is b").count(), 1);
}

#[tokio::test]
async fn who_takes_something_or_leaves_it_for_others_is_asked_in_its_turn() {
    let host = host("node1", &[]);
    let slot = Slot::new("what b finds");
    let fills = File {
        fills: Some(slot.clone()),
        ..File::new("b")
    };
    let takes = File {
        takes: Some(slot),
        ..File::new("c")
    };
    let plan = vec![File::new("a").step(), fills.step(), takes.step()];
    let report = done(vec![(&host, plan)]).await;
    assert_eq!(report.satisfied, 3);
    assert_eq!(host.transcript(), "# is a\n# is b\n# is c\n");
}

#[tokio::test]
async fn where_they_cannot_be_asked_together_they_are_asked_alone() {
    let host = host("node1", &[]);
    host.fail("is c", 1, || HostError::Timeout {
        command: "is c".to_owned(),
        limit: std::time::Duration::ZERO,
    });
    let report = done(vec![(&host, files(&MANY))]).await;
    assert_eq!((report.satisfied, report.failures.len()), (7, 0));
}

#[tokio::test]
async fn a_host_that_is_down_is_tried_once() {
    let host = host("node1", &[]);
    host.go_down();
    let report = done(vec![(&host, files(&MANY))]).await;
    assert_eq!(report.failures.len(), 1);
    assert_eq!(host.round_trips(), 1);
}
