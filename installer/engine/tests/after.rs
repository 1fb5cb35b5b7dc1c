//! What a unit has waited for last: whoever explains a run goes back along it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Batch, Cx, Data, Graph, Inventory, Journal, Order, Plan, Rolling, RunOptions, Stage, State,
    Step, StepError, Task, Turn, run,
};
use event::{Event, Events, Sink, Unit, UnitId};
use host::fake::FakeHost;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Where it is late, it ends when all other hosts have ended it.
struct Slow {
    name: &'static str,
    late: &'static str,
    units: Arc<Units>,
    done: Mutex<Vec<String>>,
}

impl Slow {
    fn step(units: &Arc<Units>, name: &'static str, late: &'static str) -> Arc<dyn Step> {
        Arc::new(Self {
            name,
            late,
            units: units.clone(),
            done: Mutex::default(),
        })
    }
}

#[async_trait]
impl Step for Slow {
    fn id(&self) -> String {
        self.name.to_owned()
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }

    async fn check(&self, cx: &Cx) -> Result<State, StepError> {
        let done = self.done.lock().unwrap();
        Ok(if done.iter().any(|host| host == cx.host.name()) {
            State::Satisfied
        } else {
            State::needed("is not done")
        })
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let host = cx.host.name();
        while host == self.late && self.units.ended(self.name) < HOSTS.len() - 1 {
            self.units.news.notified().await;
        }
        self.done.lock().unwrap().push(host.to_owned());
        Ok(())
    }

    async fn at_work(&self, _: &Cx) -> Result<bool, StepError> {
        Ok(true)
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[derive(Default)]
struct Units {
    begun: Mutex<HashMap<UnitId, Unit>>,
    ended: Mutex<Vec<UnitId>>,
    news: Notify,
}

impl Sink for Units {
    fn on(&self, _: Timestamp, event: &Event) {
        match event {
            Event::Started(unit) => {
                let ended = self.ended.lock().unwrap();
                assert!(unit.after.is_none_or(|after| ended.contains(&after)));
                self.begun.lock().unwrap().insert(unit.id, unit.clone());
            }
            Event::Finished { id, .. } => {
                self.ended.lock().unwrap().push(*id);
                self.news.notify_one();
            }
            _ => {}
        }
    }
}

impl Units {
    /// How many units of this title have ended.
    fn ended(&self, title: &str) -> usize {
        let (ended, begun) = (self.ended.lock().unwrap(), self.begun.lock().unwrap());
        ended.iter().filter(|id| begun[id].title == title).count()
    }

    /// `one a -> two a`, from a unit back to the first.
    fn way_to(&self, title: &str, host: &str) -> String {
        let units = self.begun.lock().unwrap();
        let is = |unit: &&Unit| unit.title == title && unit.host.as_deref() == Some(host);
        let mut next = units.values().find(is);
        let mut way = Vec::new();
        while let Some(unit) = next {
            way.push(format!("{} {}", unit.title, unit.host.as_deref().unwrap()));
            next = unit.after.map(|after| &units[&after]);
        }
        way.reverse();
        way.join(" -> ")
    }
}

async fn ran(units: &Arc<Units>, tasks: Vec<Task>) {
    let graph = Graph::of(Plan::new("test", vec![Stage::new("stage", tasks)])).unwrap();
    let fake = |name: &str| {
        let host: Arc<dyn host::Host> = Arc::new(FakeHost::new(name));
        (name.to_owned(), host)
    };
    let inventory: Inventory = ["a", "b", "c"].map(fake).into();
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 8,
        inject_error: None,
    };
    let (events, cancel) = (Events::to(vec![units.clone()]), CancellationToken::new());
    run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap();
}

const HOSTS: [&str; 3] = ["a", "b", "c"];

fn each(units: &Arc<Units>, name: &'static str, late: &'static str) -> Task {
    let step = Slow::step(units, name, late);
    Task::new(name).on_each(&HOSTS, |_| vec![step.clone()])
}

#[tokio::test]
async fn behind_a_gate_it_is_whoever_came_last() {
    let units = Arc::new(Units::default());
    let tasks = vec![
        each(&units, "one", "b"),
        each(&units, "two", "c").after(Order::AllHosts),
        each(&units, "three", "nobody"),
    ];
    ran(&units, tasks).await;
    assert_eq!(units.way_to("three", "c"), "one b -> two c -> three c");
    assert_eq!(units.way_to("three", "a"), "one b -> two a -> three a");
}

#[tokio::test]
async fn a_turn_is_after_the_end_of_the_one_before() {
    let units = Arc::new(Units::default());
    let act = Slow::step(&units, "start", "nobody");
    let roll = HOSTS.iter().fold(Rolling::new(Batch::One), |roll, host| {
        roll.on(host, Turn::new(act.clone()))
    });
    let tasks = vec![
        each(&units, "reach", "nobody"),
        Task::new("roll").roll(roll),
    ];
    ran(&units, tasks).await;
    let way = units.way_to("start", "c");
    assert!(way.ends_with("start a -> start b -> start c"), "{way}");
    assert!(way.starts_with("reach"), "{way}");
}
