//! A step that waits ends when the run is interrupted, and has not failed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Cx, Data, Graph, Inventory, Journal, Plan, RunOptions, Stage, State, Step, StepError, Task, run,
};
use event::{Event, Events, Outcome, RunOutcome, Sink};
use host::fake::FakeHost;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

/// Waits for what does not come.
struct Wait {
    patience: Duration,
}

#[async_trait]
impl Step for Wait {
    fn id(&self) -> String {
        "wait".to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        Ok(State::needed("nobody is there"))
    }

    async fn apply(&self, cx: &Cx) -> Result<(), StepError> {
        let day = Duration::from_hours(24);
        match cx.wait_until(self.patience, day, || self.check(cx)).await? {
            State::Satisfied => Ok(()),
            State::Needed(lacking) => Err(StepError::new(format!("nobody came: {lacking}"))),
        }
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

/// Interrupts the run as soon as a step says what it waits for.
struct Interrupt {
    cancel: CancellationToken,
    ended: Mutex<Vec<Outcome>>,
}

impl Sink for Interrupt {
    fn on(&self, _: Timestamp, event: &Event) {
        match event {
            Event::Waiting { for_what, .. } => {
                assert_eq!(for_what, "nobody is there");
                self.cancel.cancel();
            }
            Event::Finished { outcome, .. } => self.ended.lock().unwrap().push(outcome.clone()),
            _ => {}
        }
    }
}

async fn waited(patience: Duration) -> (engine::RunReport, Vec<Outcome>) {
    let wait: Arc<dyn Step> = Arc::new(Wait { patience });
    let tasks = vec![
        Task::new("first").on("a", vec![wait.clone()]),
        Task::new("second").on("a", vec![wait]),
    ];
    let graph = Graph::of(Plan::new("test", vec![Stage::new("stage", tasks)])).unwrap();
    let host: Arc<dyn host::Host> = Arc::new(FakeHost::new("a"));
    let inventory: Inventory = [("a".to_owned(), host)].into();
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(dir.path()).unwrap().join("journal");
    let journal = Journal::open(&path).unwrap();
    let options = RunOptions {
        bundle: "digest".into(),
        jobs: 4,
        inject_error: None,
    };
    let cancel = CancellationToken::new();
    let interrupt = Arc::new(Interrupt {
        cancel: cancel.clone(),
        ended: Mutex::default(),
    });
    let events = Events::to(vec![interrupt.clone()]);
    let report = run(&graph, &inventory, &options, &journal, &events, &cancel)
        .await
        .unwrap();
    let ended = interrupt.ended.lock().unwrap().clone();
    (report, ended)
}

#[tokio::test]
async fn an_interrupted_step_ends_at_once_and_has_not_failed() {
    let (report, ended) = waited(Duration::from_hours(24)).await;
    assert_eq!(report.outcome, RunOutcome::Interrupted);
    assert_eq!((report.failures.len(), report.skipped), (0, 1));
    assert_eq!(ended, [Outcome::Interrupted]);
}

#[tokio::test]
async fn when_patience_is_over_the_step_says_what_was_lacking() {
    let (report, _) = waited(Duration::ZERO).await;
    assert_eq!(report.outcome, RunOutcome::Failed);
    let error = report.failures[0].error.to_string();
    assert_eq!(error, "nobody came: nobody is there");
}
