//! Graphs of small plans, run on fake hosts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Cx, Data, DryState, Graph, GraphError, Inventory, Journal, LinkedNode, Order, Plan, Record,
    Retry, RunOptions, RunReport, Slot, SlotId, Stage, State, Step, StepError, Task, Trace,
    dry_run, run,
};
use event::{Event, Events, Outcome, RunOutcome, Sink};
use host::fake::FakeHost;
use jiff::Timestamp;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

/// The world that the steps of a test change: the acts that are done, in order.
type World = Arc<Mutex<Vec<String>>>;

/// A step that is done once its name is in the world.
struct Act {
    name: String,
    world: World,
    fault: Option<Fault>,
    fills: Option<Slot<String>>,
    takes: Option<Slot<String>>,
}

#[derive(Clone, Copy)]
enum Fault {
    /// Every attempt fails for good.
    Lasting,
    /// The first attempt fails.
    Passing,
    /// It claims to have worked.
    Silent,
}

impl Act {
    fn new(world: &World, name: &str) -> Self {
        Self {
            name: name.into(),
            world: world.clone(),
            fault: None,
            fills: None,
            takes: None,
        }
    }

    fn failing(self, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..self
        }
    }

    fn at(&self, cx: &Cx) -> String {
        format!("{}@{}", self.name, cx.host.name())
    }
}

#[async_trait]
impl Step for Act {
    fn id(&self) -> String {
        self.name.clone()
    }

    fn describe(&self) -> String {
        format!("do {}", self.name)
    }

    fn retry(&self) -> Retry {
        Retry {
            attempts: 2,
            first_delay: Duration::ZERO,
        }
    }

    fn fills(&self) -> Vec<SlotId> {
        self.fills.iter().map(Slot::id).collect()
    }

    fn takes(&self) -> Vec<SlotId> {
        self.takes.iter().map(Slot::id).collect()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let done = self.world.lock().unwrap().contains(&self.at(cx));
        Ok(if done {
            State::Satisfied
        } else {
            State::needed("is not done")
        })
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        // Several acts of one world may be taken back by one and the same: "s3" and "s3 again".
        let name = self.name.split(' ').next().unwrap_or_default();
        let keeps_nothing = name.ends_with('0');
        (!keeps_nothing)
            .then(|| Arc::new(Act::new(&self.world, &format!("no {name}"))) as Arc<dyn Step>)
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let mut world = self.world.lock().unwrap();
        let tried = format!("tried {}", self.at(cx));
        match self.fault {
            Some(Fault::Lasting) => return Err(StepError::new("no").with_hint("give up")),
            Some(Fault::Silent) => return Ok(()),
            Some(Fault::Passing) if !world.contains(&tried) => {
                world.push(tried);
                return Err(StepError::passing("not now"));
            }
            Some(Fault::Passing) | None => {}
        }
        if let Some(slot) = &self.takes {
            assert!(slot.get().is_some(), "a taker started before its filler");
        }
        if let Some(slot) = &self.fills {
            slot.fill(self.name.clone());
        }
        world.push(self.at(cx));
        Ok(())
    }
}

fn steps(world: &World, names: &[&str]) -> Vec<Arc<dyn Step>> {
    names
        .iter()
        .map(|name| Arc::new(Act::new(world, name)) as Arc<dyn Step>)
        .collect()
}

fn plan(tasks: Vec<Task>) -> Graph {
    Graph::of(Plan::new("test", vec![Stage::new("stage", tasks)])).unwrap()
}

fn hosts() -> Inventory {
    let host = |name: &str| Arc::new(FakeHost::new(name)) as Arc<dyn host::Host>;
    ["a", "b", "c"]
        .map(|name| (name.to_owned(), host(name)))
        .into()
}

struct Run {
    report: RunReport,
    journal: Vec<Record>,
}

async fn go_with(
    graph: &Graph,
    events: Events,
    cancel: CancellationToken,
    inject: Option<&str>,
) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path())
        .unwrap()
        .join("journal.jsonl");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 8,
        inject_error: inject.map(Into::into),
    };
    let report = run(graph, &hosts(), &options, &journal, &events, &cancel)
        .await
        .unwrap();
    Run {
        report,
        journal: Journal::read(&path).unwrap(),
    }
}

async fn go(graph: &Graph) -> Run {
    go_with(graph, Events::nowhere(), CancellationToken::new(), None).await
}

fn position(world: &World, act: &str) -> usize {
    let world = world.lock().unwrap();
    world
        .iter()
        .position(|done| done == act)
        .unwrap_or_else(|| panic!("{act} not in {world:?}"))
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let world = World::default();
    let graph = plan(vec![
        Task::new("t").on_each(&["a", "b"], |_| steps(&world, &["one", "two"])),
    ]);
    let first = go(&graph).await;
    assert_eq!((first.report.changed, first.report.satisfied), (4, 0));
    assert!(position(&world, "one@a") < position(&world, "two@a"));
    let second = go(&graph).await;
    assert_eq!((second.report.changed, second.report.satisfied), (0, 4));
    assert_eq!(second.report.outcome, RunOutcome::Done);
    let acts = second
        .journal
        .iter()
        .filter(|record| matches!(record, Record::Began { .. }));
    assert_eq!(
        acts.count(),
        0,
        "the journal of a run that changes nothing holds no act"
    );
}

#[tokio::test]
async fn barriers_wait_for_all_hosts_and_same_host_edges_do_not() {
    let world = World::default();
    let graph = plan(vec![
        Task::new("first").on_each(&["a", "b"], |_| steps(&world, &["first"])),
        Task::new("own").on_each(&["a", "b"], |_| steps(&world, &["own"])),
        Task::new("all")
            .after(Order::AllHosts)
            .on("c", steps(&world, &["all"])),
    ]);
    let view = graph.view();
    let after = |step: &str, host: &str| {
        let mut nodes = view.iter();
        let node = nodes.find(|node| node.step == step && node.host == host);
        let after = graph.ahead_of(node.unwrap().id);
        let ahead = view.iter().filter(|other| after.contains(&other.id));
        ahead
            .map(|other| format!("{}@{}", other.step, other.host))
            .collect::<Vec<_>>()
    };
    assert_eq!(after("own", "a"), ["first@a"]);
    assert_eq!(after("all", "c"), ["first@a", "first@b", "own@a", "own@b"]);
    go(&graph).await;
    assert_eq!(position(&world, "all@c"), 4);
}

#[test]
fn what_waits_for_all_waits_beyond_its_stage() {
    let world = World::default();
    let first = Task::new("first")
        .on("a", steps(&world, &["first"]))
        .on("b", steps(&world, &["slow"]));
    let second = vec![
        Task::new("second").on("a", steps(&world, &["second"])),
        Task::new("all")
            .after(Order::AllSettled)
            .on("a", steps(&world, &["all"])),
    ];
    let stages = vec![Stage::new("one", vec![first]), Stage::new("two", second)];
    let graph = Graph::of(Plan::new("test", stages)).unwrap();
    let view = graph.view();
    let all = view.iter().find(|node| node.step == "all").unwrap();
    let after = graph.ahead_of(all.id);
    let ahead = view.iter().filter(|node| after.contains(&node.id));
    let ahead: Vec<&str> = ahead.map(|node| node.step.as_str()).collect();
    assert_eq!(ahead, ["first", "slow", "second"]);
}

#[tokio::test]
async fn a_failed_host_stops_what_depends_on_it_and_nothing_else() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "x").failing(Fault::Lasting));
    let graph = plan(vec![
        Task::new("t")
            .on("a", vec![broken])
            .on("b", steps(&world, &["x"])),
        Task::new("own").on_each(&["a", "b"], |_| steps(&world, &["own"])),
        Task::new("settled")
            .after(Order::Settled)
            .on("c", steps(&world, &["settled"])),
        Task::new("all")
            .after(Order::AllHosts)
            .on("c", steps(&world, &["all"])),
    ]);
    let said = Arc::new(Said::default());
    let events = Events::to(vec![said.clone()]);
    let report = go_with(&graph, events, CancellationToken::new(), None)
        .await
        .report;
    assert_eq!(report.outcome, RunOutcome::Failed);
    assert_eq!(*world.lock().unwrap(), ["x@b", "own@b", "settled@c"]);
    assert_eq!(report.skipped, 2);
    let failure = &report.failures[0];
    assert_eq!(
        (&*failure.host, failure.error.to_string().as_str()),
        ("a", "no")
    );
    assert_eq!(failure.error.hint(), Some("give up"));
    let said = said.0.lock().unwrap();
    let skipped: Vec<&str> = said
        .iter()
        .filter_map(|event| match event {
            Event::Skipped { because, .. } => Some(because.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(skipped, ["'do x' failed on a"; 2]);
}

#[tokio::test]
async fn waiting_for_one_host_ignores_the_others() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "x").failing(Fault::Lasting));
    let graph = plan(vec![
        Task::new("t")
            .on("a", vec![broken])
            .on("b", steps(&world, &["x"])),
        Task::new("next")
            .after(Order::Host("b".into()))
            .on("c", steps(&world, &["y"])),
    ]);
    go(&graph).await;
    assert_eq!(*world.lock().unwrap(), ["x@b", "y@c"]);
}

#[tokio::test]
async fn a_gate_inside_a_task_holds_back_nobody_outside_it() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "x").failing(Fault::Lasting));
    let graph = plan(vec![
        Task::new("t")
            .on("a", vec![broken])
            .then(Order::AllHosts)
            .on("b", steps(&world, &["y"])),
        Task::new("next").on("c", steps(&world, &["z"])),
    ]);
    go(&graph).await;
    assert_eq!(*world.lock().unwrap(), ["z@c"]);
}

#[tokio::test]
async fn a_settled_gate_does_not_lift_an_earlier_one() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "found").failing(Fault::Lasting));
    let task = Task::new("join")
        .on("a", vec![broken])
        .then(Order::AllHosts)
        .on("b", steps(&world, &["join"]))
        .then(Order::Settled)
        .on("c", steps(&world, &["join"]));
    let report = go(&plan(vec![task])).await.report;
    assert_eq!(report.skipped, 2);
    assert!(world.lock().unwrap().is_empty());
}

/// What is done behind two hosts of which so many must succeed, where these fail.
async fn behind(needed: usize, failing: &[&str]) -> Vec<String> {
    let world = World::default();
    let of = ["a", "b"].map(str::to_owned).to_vec();
    let task = of.iter().fold(Task::new("members"), |task, host| {
        let act = Act::new(&world, "member");
        let act = if failing.contains(&&**host) {
            act.failing(Fault::Lasting)
        } else {
            act
        };
        task.on(host, vec![Arc::new(act)])
    });
    let task = task
        .then(Order::Enough { of, needed })
        .on("c", steps(&world, &["behind"]));
    go(&plan(vec![task])).await;
    let mut done = world.lock().unwrap().clone();
    done.sort_unstable();
    done
}

#[tokio::test]
async fn enough_hosts_open_a_gate_when_all_have_ended() {
    assert_eq!(behind(1, &["a"]).await, ["behind@c", "member@b"]);
    assert_eq!(behind(2, &["a"]).await, ["member@b"]);
    assert!(behind(1, &["a", "b"]).await.is_empty());
    let all = ["behind@c", "member@a", "member@b"];
    assert_eq!(behind(2, &[]).await, all);
}

/// How long this thread has been at work, whatever else the machine does.
fn worked() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse().unwrap()
}

/// What it takes to pass over so many steps behind a gate that stays shut.
async fn shut_out(hosts: usize) -> u64 {
    let world = World::default();
    let failing = Act::new(&world, "ahead").failing(Fault::Lasting);
    let ahead = Task::new("ahead").on("a", vec![Arc::new(failing)]);
    let names: Vec<String> = (0..10).map(|n| format!("act{n}")).collect();
    let acts: Vec<&str> = names.iter().map(String::as_str).collect();
    let behind = Task::new("behind").after(Order::AllHosts);
    let behind = (0..hosts).fold(behind, |task, n| {
        task.on(&format!("host{n}"), steps(&world, &acts))
    });
    let graph = plan(vec![ahead, behind]);
    let begun = worked();
    let report = go(&graph).await.report;
    let took = worked() - begun;
    assert_eq!(
        (report.failures.len(), report.skipped),
        (1, hosts as u64 * 10)
    );
    took
}

#[tokio::test]
async fn a_gate_that_stays_shut_costs_no_more_for_each_host_where_there_are_many() {
    let (few, many) = (shut_out(60).await, shut_out(960).await);
    assert!(many < few * 40, "{} times as long", many / few);
}

#[tokio::test]
async fn steps_apart_fail_alone_and_a_settled_gate_waits_for_all_of_them() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "one").failing(Fault::Lasting));
    let two = steps(&world, &["two"]).remove(0);
    let task = Task::new("proofs")
        .apart()
        .on("a", vec![broken, two])
        .then(Order::Settled)
        .on("a", steps(&world, &["clean"]));
    let next = Task::new("next").on("a", steps(&world, &["three"]));
    let report = go(&plan(vec![task, next])).await.report;
    assert_eq!((report.failures.len(), report.skipped), (1, 0));
    assert_eq!(world.lock().unwrap().len(), 3);
    assert!(position(&world, "two@a") < position(&world, "clean@a"));
}

#[tokio::test]
async fn steps_apart_wait_for_what_is_ahead_on_their_host() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "found").failing(Fault::Lasting));
    let ahead = Task::new("found").on("a", vec![broken]);
    let task = Task::new("proofs")
        .apart()
        .on("a", steps(&world, &["one", "two"]))
        .on("b", steps(&world, &["one"]));
    let report = go(&plan(vec![ahead, task])).await.report;
    assert_eq!(report.skipped, 2);
    assert_eq!(*world.lock().unwrap(), ["one@b"]);
}

#[tokio::test]
async fn what_leaves_no_trace_is_no_change() {
    struct Tent(Act);

    #[async_trait]
    impl Step for Tent {
        fn id(&self) -> String {
            self.0.id()
        }

        fn describe(&self) -> String {
            self.0.describe()
        }

        fn trace(&self) -> Trace {
            Trace::Passing
        }

        async fn check(&self, cx: &Cx) -> Result<State, StepError> {
            self.0.check(cx).await
        }

        async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
            self.0.apply(cx).await
        }

        fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
            None
        }
    }

    let world = World::default();
    let tent: Arc<dyn Step> = Arc::new(Tent(Act::new(&world, "tent")));
    let report = go(&plan(vec![Task::new("t").on("a", vec![tent])]))
        .await
        .report;
    assert_eq!((report.changed, report.satisfied), (0, 1));
    assert_eq!(world.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn only_a_passing_fault_is_tried_again_and_doing_is_checked() {
    let world = World::default();
    let faulty = |name: &str, fault| -> Vec<Arc<dyn Step>> {
        vec![Arc::new(Act::new(&world, name).failing(fault))]
    };
    let graph = plan(vec![
        Task::new("t")
            .on("a", faulty("passes", Fault::Passing))
            .on("b", faulty("lies", Fault::Silent)),
    ]);
    let report = go(&graph).await.report;
    assert!(world.lock().unwrap().contains(&"passes@a".to_owned()));
    let errors: Vec<String> = report
        .failures
        .iter()
        .map(|failure| failure.error.to_string())
        .collect();
    assert_eq!(errors, ["it was done, and yet: is not done"]);
}

#[tokio::test]
async fn slots_carry_data_across_hosts_and_make_the_order() {
    let world = World::default();
    let slot = Slot::new("token");
    let taker = Act {
        takes: Some(slot.clone()),
        ..Act::new(&world, "take")
    };
    let filler = Act {
        fills: Some(slot.clone()),
        ..Act::new(&world, "fill")
    };
    let graph = plan(vec![
        Task::new("t")
            .on("a", vec![Arc::new(taker)])
            .on("b", vec![Arc::new(filler)]),
    ]);
    let dry = dry_run(&graph, &hosts(), 4, &CancellationToken::new()).await;
    let unknown = DryState::Unknown {
        because: "'token' is not there yet".into(),
    };
    assert_eq!(dry[0].state, unknown);
    go(&graph).await;
    assert_eq!(*world.lock().unwrap(), ["fill@b", "take@a"]);
}

#[test]
fn broken_plans_are_refused_and_say_why() {
    let world = World::default();
    let slot = Slot::new("token");
    let taker = || Act {
        takes: Some(slot.clone()),
        ..Act::new(&world, "take")
    };
    let filler = || Act {
        fills: Some(slot.clone()),
        ..Act::new(&world, "fill")
    };
    let refused = |task: Task| {
        Graph::of(Plan::new("test", vec![Stage::new("s", vec![task])]))
            .err()
            .unwrap()
            .to_string()
    };
    let nobody = refused(Task::new("t").on("a", vec![Arc::new(taker())]));
    assert_eq!(nobody, "'s/t/a/take' takes 'token', which no step fills");
    let circle = refused(Task::new("t").on("a", vec![Arc::new(taker()), Arc::new(filler())]));
    assert_eq!(
        circle,
        "these steps wait for each other in a circle: s/t/a/take -> s/t/a/fill"
    );
    let twice = refused(Task::new("t").on("a", steps(&world, &["x", "x"])));
    assert_eq!(twice, GraphError::Twice("s/t/a/x".into()).to_string());
}

#[test]
fn a_host_may_have_any_number_of_steps() {
    let world = World::default();
    let many = (0..100_000).map(|step| Arc::new(Act::new(&world, &step.to_string())));
    let many = many.map(|step| step as Arc<dyn Step>).collect();
    let graph = plan(vec![Task::new("t").on("a", many)]);
    assert_eq!(graph.len(), 100_000);
    assert_eq!(graph.tree().lines().count(), 100_003);
}

#[tokio::test]
async fn an_interrupted_run_finishes_what_runs_and_starts_nothing() {
    let world = World::default();
    let cancel = CancellationToken::new();
    let plan = || {
        let one: Arc<dyn Step> = Arc::new(Interrupted(Act::new(&world, "one"), cancel.clone()));
        let rest = steps(&world, &["two", "three"]);
        plan(vec![Task::new("t").on("a", vec![one]).on("a", rest)])
    };
    let run = go_with(&plan(), Events::nowhere(), cancel.clone(), None).await;
    assert_eq!(run.report.outcome, RunOutcome::Interrupted);
    assert_eq!(*world.lock().unwrap(), ["one@a"]);
    assert_eq!(run.report.skipped, 2);
    let rest = go(&plan()).await.report;
    assert_eq!((rest.changed, rest.satisfied), (2, 1));
}

#[tokio::test]
async fn an_error_injected_at_any_node_fails_that_node_and_a_rerun_finishes() {
    let world = World::default();
    let graph = || {
        plan(vec![
            Task::new("one").on_each(&["a", "b"], |_| steps(&world, &["x", "y"])),
            Task::new("two")
                .after(Order::AllHosts)
                .on("c", steps(&world, &["z"])),
        ])
    };
    let everything: BTreeSet<String> = ["x@a", "y@a", "x@b", "y@b", "z@c"]
        .map(ToOwned::to_owned)
        .into();
    for node in graph().view() {
        world.lock().unwrap().clear();
        let path = format!("{}/{}/{}/{}", node.stage, node.task, node.host, node.step);
        let (events, cancel) = (Events::nowhere(), CancellationToken::new());
        let report = go_with(&graph(), events, cancel, Some(&path)).await.report;
        assert_eq!(report.failures.len(), 1, "{path}");
        assert!(
            !world
                .lock()
                .unwrap()
                .contains(&format!("{}@{}", node.step, node.host))
        );
        go(&graph()).await;
        assert_eq!(
            world
                .lock()
                .unwrap()
                .iter()
                .cloned()
                .collect::<BTreeSet<_>>(),
            everything
        );
    }
}

#[tokio::test]
async fn every_unit_that_starts_ends_once_and_every_stage_too() {
    let world = World::default();
    let broken: Arc<dyn Step> = Arc::new(Act::new(&world, "x").failing(Fault::Lasting));
    let graph = plan(vec![
        Task::new("t")
            .on("a", vec![broken])
            .on("b", steps(&world, &["x", "y"])),
        Task::new("u")
            .after(Order::AllHosts)
            .on("c", steps(&world, &["z"])),
    ]);
    let said = Arc::new(Said::default());
    let report = go_with(
        &graph,
        Events::to(vec![said.clone()]),
        CancellationToken::new(),
        None,
    )
    .await
    .report;
    assert_eq!((report.failures.len(), report.skipped), (1, 1));
    let said = said.0.lock().unwrap();
    let count = |of: fn(&Event) -> bool| said.iter().filter(|event| of(event)).count();
    assert_eq!(count(|event| matches!(event, Event::Started(_))), 3);
    assert_eq!(count(|event| matches!(event, Event::Finished { .. })), 3);
    assert_eq!(count(|event| matches!(event, Event::Skipped { .. })), 1);
    assert_eq!(
        count(|event| matches!(event, Event::StageStarted { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(event, Event::StageFinished { .. })),
        1
    );
    assert!(matches!(said.last(), Some(Event::StageFinished { .. })));
    assert_eq!(
        count(|event| matches!(event, Event::RunStarted { .. } | Event::RunFinished { .. })),
        0,
        "the graph may be only a part of what the command does"
    );
    assert!(said.iter().any(|event| matches!(
        event,
        Event::Finished {
            outcome: Outcome::Failed { hint: Some(_), .. },
            ..
        }
    )));
}

#[test]
fn the_tree_shows_hosts_that_do_the_same_once() {
    let world = World::default();
    let graph = plan(vec![
        Task::new("files").on_each(&["a", "b"], |_| steps(&world, &["one", "two"])),
        Task::new("extra").on("c", steps(&world, &["three"])),
    ]);
    insta::assert_snapshot!(graph.tree(), @r"
    stage
      files
        a, b
          do one
          do two
      extra
        c
          do three
    ");
    insta::assert_snapshot!(graph.dot(), @r#"
    digraph "test" {
      rankdir=LR; node [shape=box];
      n0 [label="do one\na"];
      n1 [label="do two\na"];
      n0 -> n1;
      n2 [label="do one\nb"];
      n3 [label="do two\nb"];
      n2 -> n3;
      n4 [label="do three\nc"];
    }
    "#);
}

/// The same stage for two versions, one after the other.
#[tokio::test]
async fn a_stage_may_occur_twice_in_a_plan_of_plans() {
    let world = World::default();
    let hop = |version: &'static str, act: &str| {
        let task = Task::new("t").on("a", steps(&world, &[act]));
        let plan = Plan::new("hop", vec![Stage::new("workers", vec![task])]);
        Plan::within(version, plan)
    };
    let whole = hop("v1.35", "drain").then(hop("v1.36", "drain"));
    let graph = Graph::of(whole).unwrap();
    insta::assert_snapshot!(graph.tree(), @r"
    v1.35/workers
      t
        a
          do drain
    v1.36/workers
      t
        a
          do drain
    ");
    let said = Arc::new(Said::default());
    let events = Events::to(vec![said.clone()]);
    go_with(&graph, events, CancellationToken::new(), None).await;
    let said = said.0.lock().unwrap();
    let ended: Vec<&str> = said
        .iter()
        .filter_map(|event| match event {
            Event::StageFinished { stage, .. } => Some(stage.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ended, ["v1.35/workers", "v1.36/workers"]);

    let again = Graph::of(hop("v1.35", "drain").then(hop("v1.35", "drain")));
    let twice = GraphError::Twice("v1.35/workers/t/a/drain".into());
    assert_eq!(again.err(), Some(twice));
}

/// Gates are not multiplied out: of a plan with one gate the edges are as many as the steps, twice.
#[test]
fn a_plan_that_is_written_down_grows_with_its_steps() {
    let world = World::default();
    let names: Vec<String> = (0..100).map(|number| format!("node{number}")).collect();
    let graph = plan(vec![
        Task::new("first").on_each(&names, |_| steps(&world, &["one"])),
        Task::new("all")
            .after(Order::AllHosts)
            .on_each(&names, |_| steps(&world, &["two"])),
    ]);
    let edges: usize = graph
        .linked()
        .map(|node| match node {
            LinkedNode::Step { after, .. } | LinkedNode::Gate { after, .. } => after.len(),
        })
        .sum();
    assert_eq!(edges, 100 + 100 + 100);

    let two = plan(vec![
        Task::new("first").on("a", steps(&world, &["one"])),
        Task::new("all")
            .after(Order::Settled)
            .on("b", steps(&world, &["two"])),
    ]);
    let written: Vec<String> = two
        .linked()
        .map(|node| serde_json::to_string(&node).unwrap())
        .collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
    {"id":0,"stage":"stage","task":"first","host":"a","step":"one","title":"do one","after":[]}
    {"id":1,"gate":"ended","after":[0]}
    {"id":2,"stage":"stage","task":"all","host":"b","step":"two","title":"do two","after":[1]}
    "#);
    assert_eq!(
        serde_json::to_string(&two).unwrap(),
        format!("[{}]", written.join(","))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the plan: everything is done once, and nothing before what it waits for.
    #[test]
    fn any_plan_is_done_in_an_allowed_order(
        shape in prop::collection::vec((0..5_usize, prop::collection::vec((0..3_usize, 1..3_usize), 1..4)), 1..6),
    ) {
        let world = World::default();
        let mut counter = 0;
        let orders = [Order::SameHost, Order::AllHosts, Order::Settled, Order::AllSettled, Order::Host("a".into())];
        let tasks = shape.iter().map(|(order, chains)| {
            chains.iter().fold(Task::new("t").after(orders[*order].clone()), |task, (host, length)| {
                let names: Vec<String> = (0..*length).map(|_| { counter += 1; format!("s{counter}") }).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                task.on(["a", "b", "c"][*host], steps(&world, &names))
            })
        }).collect();
        let graph = plan(tasks);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(go(&graph));
        let view = graph.view();
        prop_assert_eq!(world.lock().unwrap().len(), view.len());
        let act = |id: usize| {
            let node = view.iter().find(|node| node.id == id).unwrap();
            format!("{}@{}", node.step, node.host)
        };
        for node in &view {
            for ahead in graph.ahead_of(node.id) {
                prop_assert!(position(&world, &act(ahead)) < position(&world, &act(node.id)));
            }
        }
    }
}

#[test]
fn a_plan_is_taken_back_from_its_end_and_the_last_host_waits_for_all_others() {
    let world = World::default();
    let stages = vec![
        Stage::new(
            "prepare",
            vec![Task::new("keys").on("c", steps(&world, &["ca", "key"]))],
        ),
        Stage::new(
            "run",
            vec![
                Task::new("files")
                    .on_each(&["a", "b"], |_| steps(&world, &["file", "look0"]))
                    .then(Order::AllHosts)
                    .on("a", steps(&world, &["file again"])),
                Task::new("push")
                    .after(Order::Host("a".into()))
                    .on("c", steps(&world, &["images"])),
                Task::new("service")
                    .after(Order::AllHosts)
                    .on_each(&["a", "b"], |_| steps(&world, &["service"])),
            ],
        ),
    ];
    let back = Plan::new("set up", stages).reversed("take back", Data::Keep, "c");
    let graph = Graph::of(back).unwrap();
    insta::assert_snapshot!(graph.tree(), @r"
    run
      service
        b, a
          do no service
      files
        b, a
          do no file
      push
        c
          do no images
    prepare
      keys
        c
          do no key
          do no ca
    ");
    let view = graph.view();
    let after = |host: &str| -> Vec<(&str, Vec<&str>)> {
        let of = |id: usize| &*view.iter().find(|node| node.id == id).unwrap().host;
        let on_host = view.iter().filter(|node| node.host == host);
        on_host
            .map(|node| {
                let after = graph.ahead_of(node.id).into_iter();
                (&*node.step, after.map(of).collect())
            })
            .collect()
    };
    assert_eq!(after("b"), [("no service", vec![]), ("no file", vec!["b"])]);
    let all_others = ("no images", vec!["b", "a", "b", "a"]);
    assert_eq!(after("c")[0], all_others);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the plan: its reverse is a graph, and holds each counterpart once.
    #[test]
    fn any_plan_can_be_taken_back(
        shape in prop::collection::vec((0..5_usize, prop::collection::vec((0..3_usize, prop::collection::vec(0..9_usize, 1..4)), 1..4)), 1..6),
    ) {
        let world = World::default();
        let orders = [Order::SameHost, Order::AllHosts, Order::Settled, Order::AllSettled, Order::Host("a".into())];
        let mut set_up = BTreeSet::new();
        let stages = shape.iter().map(|(order, chains)| {
            let task = chains.iter().fold(Task::new("t"), |task, (host, numbers)| {
                let host = ["a", "b", "c"][*host];
                let names: Vec<String> = numbers.iter().map(|n| format!("s{n}")).collect();
                set_up.extend(numbers.iter().filter(|n| **n != 0).map(|n| format!("no s{n}@{host}")));
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                task.on(host, steps(&world, &names)).then(orders[*order].clone())
            });
            Stage::new("stage", vec![task]).after(orders[*order].clone())
        }).collect();
        let graph = Graph::of(Plan::new("test", stages).reversed("back", Data::Purge, "c")).unwrap();
        let back: Vec<String> = graph.view().iter().map(|node| format!("{}@{}", node.step, node.host)).collect();
        let once: BTreeSet<String> = back.iter().cloned().collect();
        prop_assert_eq!(back.len(), once.len());
        prop_assert_eq!(&once, &set_up);
        let first_of_last = back.iter().position(|act| act.ends_with("@c")).unwrap_or(back.len());
        prop_assert!(back[first_of_last..].iter().all(|act| act.ends_with("@c")));
    }
}

#[derive(Default)]
struct Said(Mutex<Vec<Event>>);

impl Sink for Said {
    fn on(&self, _: Timestamp, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// The run is interrupted while this is done.
struct Interrupted(Act, CancellationToken);

#[async_trait]
impl Step for Interrupted {
    fn id(&self) -> String {
        self.0.id()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        self.0.check(cx).await
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        self.1.cancel();
        self.0.apply(cx).await
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}
