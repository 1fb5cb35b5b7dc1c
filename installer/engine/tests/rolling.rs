//! What is at work on several hosts changes a few at a time, and no further than it goes well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Batch, Cx, Data, Graph, Inventory, Journal, Plan, Retry, Rolling, RunOptions, RunReport, Stage,
    State, Step, StepError, Task, Turn, run,
};
use event::{Event, Events, RunOutcome, Sink};
use host::fake::FakeHost;
use jiff::Timestamp;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

/// Kubelets, as far as a roll is about them.
#[derive(Default)]
struct World {
    /// The configuration that a host's kubelet was started with; none where it was never started.
    runs: BTreeMap<String, u32>,
    /// Those that die of the new one, seconds after they were started.
    dies: Vec<&'static str>,
    down: Vec<&'static str>,
    /// What was done, in order.
    log: Vec<String>,
    /// Who is started only together with others.
    meets: BTreeMap<&'static str, Arc<Barrier>>,
    /// How many are being started now, and how many there were at most.
    starting: (usize, usize),
    /// The host whose start is the last that a run does.
    cut_at: Option<&'static str>,
    /// Ends a run.
    stop: CancellationToken,
}

type Shared = Arc<Mutex<World>>;

fn world(hosts: &[&str], config: Option<u32>) -> Shared {
    let runs = hosts
        .iter()
        .filter_map(|host| Some(((*host).to_owned(), config?)));
    Arc::new(Mutex::new(World {
        runs: runs.collect(),
        ..World::default()
    }))
}

/// These hosts are started so many at once, or never.
fn together(world: Shared, hosts: &[&'static str], many: usize) -> Shared {
    let barrier = Arc::new(Barrier::new(many));
    let meets = hosts.iter().map(|host| (*host, barrier.clone()));
    world.lock().unwrap().meets = meets.collect();
    world
}

const NEW: u32 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Reach,
    Drain,
    Start,
    Heartbeat,
    Uncordon,
    Next,
}

struct Part {
    act: Act,
    world: Shared,
}

/// The operator's machine, which keeps the journal.
struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }
}

impl Part {
    fn step(act: Act, world: &Shared) -> Arc<dyn Step> {
        let world = world.clone();
        Arc::new(Self { act, world })
    }

    fn log(&self, cx: &Cx) {
        let entry = format!("{} {}", self.id(), cx.host.name());
        self.world.lock().unwrap().log.push(entry);
    }

    fn logged(&self, cx: &Cx) -> bool {
        let entry = format!("{} {}", self.id(), cx.host.name());
        self.world.lock().unwrap().log.contains(&entry)
    }
}

#[async_trait]
impl Step for Part {
    fn id(&self) -> String {
        let name = match self.act {
            Act::Reach => "reach",
            Act::Drain => "drain",
            Act::Start => "start",
            Act::Heartbeat => "heartbeat",
            Act::Uncordon => "uncordon",
            Act::Next => "next",
        };
        name.to_owned()
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
        let is_host = |name: &&str| *name == cx.host.name();
        let world = self.world.lock().unwrap();
        let done = match self.act {
            Act::Reach if world.down.iter().any(is_host) => {
                return Err(StepError::new("no route to host"));
            }
            Act::Reach => true,
            Act::Start => world.runs.get(cx.host.name()) == Some(&NEW),
            Act::Heartbeat => !world.dies.iter().any(is_host),
            Act::Drain | Act::Uncordon | Act::Next => {
                drop(world);
                self.logged(cx)
            }
        };
        Ok(if done {
            State::Satisfied
        } else {
            State::needed("is not so")
        })
    }

    async fn at_work(&self, cx: &Cx) -> Result<bool, StepError> {
        Ok(self.world.lock().unwrap().runs.contains_key(cx.host.name()))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        if self.act == Act::Heartbeat {
            return Err(StepError::new("it has died"));
        }
        if self.act == Act::Start {
            {
                let (now, most) = &mut self.world.lock().unwrap().starting;
                *now += 1;
                *most = (*most).max(*now);
            }
            let meets = self
                .world
                .lock()
                .unwrap()
                .meets
                .get(cx.host.name())
                .cloned();
            if let Some(others) = meets {
                others.wait().await;
            }
            let mut world = self.world.lock().unwrap();
            world.starting.0 -= 1;
            world.runs.insert(cx.host.name().to_owned(), NEW);
            if world.cut_at == Some(cx.host.name()) {
                world.stop.cancel();
            }
        }
        self.log(cx);
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[derive(Default)]
struct Skips(Mutex<Vec<String>>);

impl Sink for Skips {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Skipped { unit, because } = event {
            let host = unit.host.as_deref().unwrap_or_default();
            self.0
                .lock()
                .unwrap()
                .push(format!("{} on {host}: {because}", unit.title));
        }
    }
}

struct Ran {
    report: RunReport,
    log: Vec<String>,
    skips: Vec<String>,
    most: usize,
}

/// Reach every host, roll the kubelet, go on.
async fn roll(world: &Shared, hosts: &[&str], rolling: Rolling) -> Ran {
    roll_at(&Site::new(), world, hosts, rolling).await
}

async fn roll_at(site: &Site, world: &Shared, hosts: &[&str], rolling: Rolling) -> Ran {
    let one = |act| vec![Part::step(act, world)];
    let turn = || {
        Turn::new(Part::step(Act::Start, world))
            .before(one(Act::Drain))
            .healthy(one(Act::Heartbeat))
            .healthy(one(Act::Uncordon))
    };
    let rolling = hosts.iter().fold(rolling, |rolling, host| {
        let is_alone = host.starts_with(char::is_uppercase);
        let turn = if is_alone { turn().alone() } else { turn() };
        rolling.on(host, turn)
    });
    let tasks = vec![
        Task::new("reach").on_each(hosts, |_| one(Act::Reach)),
        Task::new("kubelet").roll(rolling),
        Task::new("next").on_each(hosts, |_| one(Act::Next)),
    ];
    let graph = Graph::of(Plan::new("test", vec![Stage::new("nodes", tasks)])).unwrap();
    let fake = |name: &&str| {
        let host: Arc<dyn host::Host> = Arc::new(FakeHost::new(*name));
        ((*name).to_owned(), host)
    };
    let inventory: Inventory = hosts.iter().map(fake).collect();
    let path = Utf8Path::from_path(site.dir.path()).unwrap();
    let path = path.join("journal");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 16,
        inject_error: None,
    };
    let skips = Arc::new(Skips::default());
    let (events, cancel) = (Events::to(vec![skips.clone()]), CancellationToken::new());
    world.lock().unwrap().stop = cancel.clone();
    let report = run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap();
    let mut world = world.lock().unwrap();
    Ran {
        report,
        log: std::mem::take(&mut world.log),
        skips: std::mem::take(&mut skips.0.lock().unwrap()),
        most: world.starting.1,
    }
}

const THREE: [&str; 3] = ["a", "b", "c"];

#[tokio::test]
async fn after_a_canary_that_dies_no_other_is_touched() {
    let world = world(&THREE, Some(1));
    world.lock().unwrap().dies = vec!["a"];
    let ran = roll(&world, &THREE, Rolling::new(Batch::Percent(100))).await;
    assert_eq!(ran.log, ["drain a", "start a"]);
    assert_eq!(ran.report.failures.len(), 1);
    assert_eq!(world.lock().unwrap().runs["b"], 1);
    let first = |host: &str| {
        let mut skips = ran.skips.iter();
        skips
            .find(|skip| skip.contains(&format!("on {host}: ")))
            .unwrap()
    };
    assert_eq!(
        first("b"),
        "drain on b: it is left as it is: 'heartbeat' failed on a"
    );
    assert_eq!(
        first("c"),
        "drain on c: it is left as it is: 'heartbeat' failed on a"
    );
}

#[tokio::test]
async fn the_first_goes_alone_and_the_others_in_batches() {
    let hosts = ["a", "b", "c", "d", "e"];
    let old = || world(&hosts, Some(1));
    let one = roll(&old(), &hosts, Rolling::new(Batch::One)).await;
    assert_eq!((one.report.failures, one.most), (Vec::new(), 1));

    let two = together(old(), &hosts[1..], 2);
    let two = roll(&two, &hosts, Rolling::new(Batch::Percent(40))).await;
    assert_eq!((two.report.failures, two.most), (Vec::new(), 2));
    assert_eq!(two.log[..3], ["drain a", "start a", "uncordon a"]);

    let all = together(old(), &hosts[1..], 4);
    let all = roll(&all, &hosts, Rolling::new(Batch::Percent(100))).await;
    assert_eq!((all.report.failures, all.most), (Vec::new(), 4));
}

/// Those whose names are upper case go alone.
#[tokio::test]
async fn who_goes_alone_has_no_company_in_whatever_batch() {
    let hosts = ["a", "b", "c", "D", "e", "f"];
    let world = world(&hosts, Some(1));
    let ran = roll(&world, &hosts, Rolling::new(Batch::Percent(100))).await;
    assert_eq!(ran.report.failures, Vec::new());
    let at = |entry: &str| ran.log.iter().position(|told| told == entry).unwrap();
    let alone = at("drain D")..=at("uncordon D");
    let within = ran.log[alone].iter();
    let others: Vec<&String> = within.filter(|entry| !entry.ends_with('D')).collect();
    let next: Vec<&&String> = others
        .iter()
        .filter(|entry| !entry.starts_with("next"))
        .collect();
    assert!(next.is_empty(), "{:?}", ran.log);
}

#[tokio::test]
async fn what_is_set_up_for_the_first_time_needs_no_turn() {
    let fresh = together(world(&THREE, None), &THREE, 3);
    let ran = roll(&fresh, &THREE, Rolling::new(Batch::One)).await;
    assert_eq!((ran.report.failures, ran.most), (Vec::new(), 3));
    assert!(
        !ran.log.iter().any(|entry| entry.starts_with("drain")),
        "{:?}",
        ran.log
    );
}

#[tokio::test]
async fn a_host_that_is_as_it_should_be_waits_for_nobody() {
    let world = world(&THREE, Some(1));
    world.lock().unwrap().runs.insert("b".to_owned(), NEW);
    let ran = roll(&world, &THREE, Rolling::new(Batch::One)).await;
    let at = |entry: &str| ran.log.iter().position(|told| told == entry);
    assert!(
        at("next b") < at("next a").min(at("next c")),
        "{:?}",
        ran.log
    );
    assert_eq!(ran.log.len(), 1 + 2 * 4);
    assert_eq!(ran.report.satisfied, 3 + 4 + 2);
}

#[tokio::test]
async fn a_host_that_is_down_counts_only_where_so_many_are_needed() {
    let down = || {
        let world = world(&THREE, Some(1));
        world.lock().unwrap().down = vec!["c"];
        world
    };
    let ran = roll(&down(), &THREE, Rolling::new(Batch::One)).await;
    assert_eq!(
        ran.log
            .iter()
            .filter(|entry| entry.starts_with("start"))
            .count(),
        2
    );

    let quorum = down();
    let ran = roll(&quorum, &THREE, Rolling::new(Batch::One).needs(2)).await;
    assert!(ran.log.is_empty(), "{:?}", ran.log);
    let why = "drain on a: it is left as it is, for too few others are up: 'reach' failed on c";
    assert!(ran.skips.iter().any(|skip| skip == why), "{:?}", ran.skips);
}

/// Ended between the start of a host's kubelet and what proves it to be well.
async fn cut_short(site: &Site, world: &Shared) {
    world.lock().unwrap().cut_at = Some("b");
    let cut = roll_at(site, world, &THREE, Rolling::new(Batch::One)).await;
    assert_eq!(cut.report.outcome, RunOutcome::Interrupted);
    assert_eq!(cut.log.last().unwrap(), "start b");
    world.lock().unwrap().cut_at = None;
}

#[tokio::test]
async fn what_was_started_and_not_proven_is_proven_by_the_next_run() {
    let (site, world) = (Site::new(), world(&THREE, Some(1)));
    cut_short(&site, &world).await;
    world.lock().unwrap().dies = vec!["b"];
    for _ in 0..2 {
        let next = roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
        let failed: Vec<_> = next.report.failures.iter().map(|f| &*f.host).collect();
        assert_eq!(failed, ["b"]);
        assert_eq!(world.lock().unwrap().runs["c"], 1, "c is touched after b");
    }
    world.lock().unwrap().dies.clear();
    let next = roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
    assert!(next.report.failures.is_empty());
    let of_b = next.log.iter().position(|entry| entry == "uncordon b");
    let of_c = next.log.iter().position(|entry| entry == "drain c");
    assert!(of_b.unwrap() < of_c.unwrap(), "{:?}", next.log);
}

#[tokio::test]
async fn who_has_proven_to_be_well_is_not_asked_again() {
    let (site, world) = (Site::new(), world(&THREE, Some(1)));
    let first = roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
    assert!(first.report.failures.is_empty());
    // It would be told if it were asked.
    world.lock().unwrap().dies = THREE.to_vec();
    let second = roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
    assert!(second.report.failures.is_empty());
}

#[tokio::test]
async fn what_disturbed_nobody_needs_no_proof_later() {
    let (site, world) = (Site::new(), world(&THREE, None));
    roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
    world.lock().unwrap().dies = THREE.to_vec();
    let second = roll_at(&site, &world, &THREE, Rolling::new(Batch::One)).await;
    assert!(second.report.failures.is_empty());
}
