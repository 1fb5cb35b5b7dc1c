//! What belongs to a turn, and what waits for a whole roll.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Batch, Cx, Data, Graph, Inventory, Journal, Order, Plan, Retry, Rolling, RunOptions, RunReport,
    Stage, State, Step, StepError, Task, Turn, run,
};
use event::{Events, Sink};
use host::fake::FakeHost;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

/// What is true of the hosts, as `step host`.
#[derive(Default)]
struct World {
    done: BTreeSet<String>,
    fails: Vec<&'static str>,
    at_work: Vec<&'static str>,
    /// What was done, in order.
    log: Vec<String>,
    /// Files are put onto so many hosts at once, or never.
    meet: Option<Arc<Barrier>>,
}

type Shared = Arc<Mutex<World>>;

struct Part(&'static str, Shared);

impl Part {
    fn entry(&self, cx: &Cx) -> String {
        format!("{} {}", self.0, cx.host.name())
    }
}

#[async_trait]
impl Step for Part {
    fn id(&self) -> String {
        self.0.to_owned()
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

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let (entry, world) = (self.entry(cx), self.1.lock().unwrap());
        Ok(if world.done.contains(&entry) {
            State::Satisfied
        } else {
            State::needed("is not so")
        })
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        let is_act = self.0 == "start";
        Ok(is_act && self.1.lock().unwrap().at_work.contains(&cx.host.name()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let (entry, meet) = (self.entry(cx), self.1.lock().unwrap().meet.clone());
        if let Some(meet) = meet.filter(|_| self.0 == "put") {
            meet.wait().await;
        }
        let mut world = self.1.lock().unwrap();
        if world.fails.contains(&&*entry) {
            return Err(StepError::new("it went wrong"));
        }
        world.log.push(entry.clone());
        world.done.insert(entry);
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

struct Nobody;

impl Sink for Nobody {
    fn on(&self, _: jiff::Timestamp, _: &event::Event) {}
}

const HOSTS: [&str; 2] = ["a", "b"];

/// Reach, then a turn each: spare, put, start, join, beat. At last "all", once, on `a`, if the roll has not halted.
async fn ran(world: World, rolling: Rolling) -> (Vec<String>, RunReport) {
    let world: Shared = Arc::new(Mutex::new(world));
    let step = |id| -> Arc<dyn Step> { Arc::new(Part(id, world.clone())) };
    let rolling = HOSTS.iter().fold(rolling, |rolling, host| {
        let turn = Turn::new(step("start")).with(vec![step("put")]);
        let turn = turn.then(step("join")).healthy(vec![step("beat")]);
        rolling.on(host, turn.before(vec![step("spare")]))
    });
    let task = Task::new("kubelet")
        .on_each(&HOSTS, |_| vec![step("reach")])
        .roll(rolling)
        .then(Order::Rolled)
        .on("once", vec![step("all")]);
    let graph = Graph::of(Plan::new("test", vec![Stage::new("nodes", vec![task])])).unwrap();
    let fake = |name: &str| {
        let host: Arc<dyn host::Host> = Arc::new(FakeHost::new(name));
        (name.to_owned(), host)
    };
    let inventory: Inventory = ["a", "b", "once"].into_iter().map(fake).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 16,
        inject_error: None,
    };
    let (events, cancel) = (Events::to(vec![Arc::new(Nobody)]), CancellationToken::new());
    let report = run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap();
    let log = std::mem::take(&mut world.lock().unwrap().log);
    let ahead = |entry: &String| entry.starts_with("reach") || entry.starts_with("spare");
    let log = log.into_iter().filter(|entry| !ahead(entry));
    (log.collect(), report)
}

/// All is well on both hosts but what these lack.
fn lacking(lacks: &[&str]) -> World {
    let all = HOSTS
        .iter()
        .flat_map(|host| ["put", "start", "join", "beat"].map(|part| format!("{part} {host}")));
    World {
        done: all.filter(|entry| !lacks.contains(&&**entry)).collect(),
        at_work: HOSTS.to_vec(),
        ..World::default()
    }
}

#[tokio::test]
async fn a_new_file_is_a_reason_for_a_turn_and_comes_with_it() {
    let world = lacking(&["put a", "put b", "beat a", "beat b"]);
    let (log, report) = ran(world, Rolling::new(Batch::Percent(100))).await;
    assert_eq!(log, ["put a", "beat a", "put b", "beat b", "all once"]);
    assert!(report.failures.is_empty());
}

#[tokio::test]
async fn who_is_not_touched_keeps_its_files() {
    let mut world = lacking(&["put a", "put b", "beat a", "beat b"]);
    world.fails = vec!["beat a"];
    let (log, report) = ran(world, Rolling::new(Batch::One)).await;
    assert_eq!(log, ["put a"]);
    assert_eq!(report.failures.len(), 1);
}

#[tokio::test]
async fn who_cannot_be_spared_keeps_no_other_waiting() {
    let mut world = lacking(&["put a", "put b", "spare a"]);
    world.fails = vec!["spare a"];
    let (log, report) = ran(world, Rolling::one_by_one()).await;
    assert_eq!(log, ["put b", "all once"]);
    assert_eq!(report.failures.len(), 1);
}

/// Nothing is there yet.
fn new() -> World {
    World {
        meet: Some(Arc::new(Barrier::new(HOSTS.len()))),
        ..World::default()
    }
}

#[tokio::test]
async fn one_by_one_also_at_first_but_for_the_files() {
    let (log, report) = ran(new(), Rolling::one_by_one()).await;
    assert!(report.failures.is_empty());
    let acts: Vec<&String> = log
        .iter()
        .filter(|entry| !entry.starts_with("put"))
        .collect();
    assert_eq!(acts, ["start a", "join a", "start b", "join b", "all once"]);
    let (side_by_side, _) = ran(new(), Rolling::new(Batch::One)).await;
    assert_eq!(side_by_side.len(), log.len());
}

#[tokio::test]
async fn a_new_host_that_does_not_come_up_halts_the_roll_and_nothing_behind_it() {
    let mut world = new();
    world.fails = vec!["join a"];
    let (mut log, _) = ran(world, Rolling::one_by_one()).await;
    log.sort();
    assert_eq!(log, ["all once", "put a", "put b", "start a"]);
}

#[tokio::test]
async fn a_new_host_that_takes_no_files_halts_nobody() {
    let mut world = new();
    world.fails = vec!["put a"];
    let (log, report) = ran(world, Rolling::one_by_one()).await;
    assert_eq!(log, ["put b", "start b", "join b", "all once"]);
    assert_eq!(report.failures.len(), 1);
}

#[tokio::test]
async fn a_host_that_is_down_keeps_what_is_behind_the_roll_from_nothing() {
    let mut world = lacking(&["put b"]);
    world.fails = vec!["reach a"];
    let (log, report) = ran(world, Rolling::one_by_one()).await;
    assert_eq!(log, ["put b", "all once"]);
    assert_eq!(report.failures.len(), 1);
}
