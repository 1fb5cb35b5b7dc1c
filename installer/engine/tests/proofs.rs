//! What an earlier run has proven is passed over as a whole, or done again as a whole.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Cx, Data, Graph, Inventory, Journal, Order, Plan, Retry, RunOptions, RunReport, Slot, SlotId,
    Stage, State, Step, StepError, Task, Trace, run,
};
use event::Events;
use host::fake::FakeHost;
use tokio_util::sync::CancellationToken;

/// What is true, and what was done.
#[derive(Default)]
struct World {
    reaches: bool,
    changed: bool,
    done: Vec<&'static str>,
}

type Shared = Arc<Mutex<World>>;

/// A part of a proof by pods, as the network's is: they are set up, asked, and taken away.
enum Part {
    SetUp,
    Ask,
    CleanUp,
    /// Nothing of the proof: something else that the plan changes.
    Change,
}

struct Act {
    part: Part,
    world: Shared,
    pods: Slot<()>,
}

#[async_trait]
impl Step for Act {
    fn id(&self) -> String {
        let name = match self.part {
            Part::SetUp => "set up",
            Part::Ask => "ask",
            Part::CleanUp => "clean up",
            Part::Change => "change",
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

    fn fills(&self) -> Vec<SlotId> {
        match self.part {
            Part::SetUp => vec![self.pods.id()],
            Part::Ask | Part::CleanUp | Part::Change => Vec::new(),
        }
    }

    fn takes(&self) -> Vec<SlotId> {
        match self.part {
            Part::Ask => vec![self.pods.id()],
            Part::SetUp | Part::CleanUp | Part::Change => Vec::new(),
        }
    }

    fn trace(&self) -> Trace {
        match self.part {
            Part::Change => Trace::Lasting,
            Part::SetUp | Part::Ask | Part::CleanUp => Trace::Passing,
        }
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        let mut world = self.world.lock().unwrap();
        let done = match self.part {
            Part::SetUp => self.pods.get().is_some(),
            Part::Ask => {
                world.done.push("asked");
                if self.pods.get().is_none() {
                    return Err(StepError::new("the pods of the check are not there"));
                }
                if !world.reaches {
                    return Err(StepError::new("does not answer"));
                }
                true
            }
            Part::CleanUp => world.done.last() == Some(&"cleaned up"),
            Part::Change => world.changed,
        };
        Ok(if done {
            State::Satisfied
        } else {
            State::needed("is not done")
        })
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        let mut world = self.world.lock().unwrap();
        match self.part {
            Part::SetUp => {
                self.pods.fill(());
                world.done.push("set up");
            }
            Part::Ask => {}
            Part::CleanUp => world.done.push("cleaned up"),
            Part::Change => world.changed = true,
        }
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// The plan as each run makes it: with slots that are empty.
async fn install(world: &Shared, journal: &Journal) -> RunReport {
    let pods = Slot::new("the pods of the check");
    let act = |part| -> Vec<Arc<dyn Step>> {
        vec![Arc::new(Act {
            part,
            world: world.clone(),
            pods: pods.clone(),
        })]
    };
    let proof = Task::new("network")
        .apart()
        .on("a", act(Part::SetUp))
        .on("a", act(Part::Ask))
        .then(Order::Settled)
        .on("a", act(Part::CleanUp))
        .after_changes();
    let change = Task::new("change").on("a", act(Part::Change));
    let stages = vec![
        Stage::new("work", vec![change]),
        Stage::new("proof", vec![proof]).after(Order::AllHosts),
    ];
    let graph = Graph::of(Plan::new("install", stages)).unwrap();
    let host: Arc<dyn host::Host> = Arc::new(FakeHost::new("a"));
    let inventory: Inventory = [("a".to_owned(), host)].into();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 4,
        inject_error: None,
    };
    let (events, cancel) = (Events::nowhere(), CancellationToken::new());
    run(&graph, &inventory, &options, journal, &events, &cancel)
        .await
        .unwrap()
}

fn done(world: &Shared) -> Vec<&'static str> {
    std::mem::take(&mut world.lock().unwrap().done)
}

#[tokio::test]
async fn a_proof_that_failed_is_done_again_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
    let journal = Journal::open(&path).unwrap();
    let world = Shared::default();
    let whole = ["set up", "asked", "cleaned up"];

    let first = install(&world, &journal).await;
    assert_eq!(first.failures.len(), 1);
    assert_eq!(done(&world), whole);

    // Nothing else has changed: somebody has mended the network.
    world.lock().unwrap().reaches = true;
    let second = install(&world, &journal).await;
    assert_eq!((second.failures, second.changed), (Vec::new(), 0));
    assert_eq!(done(&world), whole);

    let third = install(&world, &journal).await;
    assert_eq!((third.failures, third.satisfied), (Vec::new(), 4));
    assert!(done(&world).is_empty(), "it is proven");

    world.lock().unwrap().changed = false;
    let fourth = install(&world, &journal).await;
    assert_eq!(fourth.changed, 1);
    assert_eq!(done(&world), whole);
}
