//! A step that waits ends when the run is interrupted, and has not failed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use engine::{
    Cx, Data, Graph, Inventory, Journal, Plan, Retry, RunOptions, Stage, State, Step, StepError,
    Task, run,
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
            Event::Retrying { .. } => self.cancel.cancel(),
            Event::Finished { outcome, .. } => self.ended.lock().unwrap().push(outcome.clone()),
            _ => {}
        }
    }
}

async fn waited(patience: Duration) -> (engine::RunReport, Vec<Outcome>) {
    let cancel = CancellationToken::new();
    ran(Arc::new(Wait { patience }), cancel).await
}

async fn ran(wait: Arc<dyn Step>, cancel: CancellationToken) -> (engine::RunReport, Vec<Outcome>) {
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

/// Asks what does not answer for a day, or answers that it may well do so later.
struct Ask {
    asked: CancellationToken,
    answers: Answers,
}

#[derive(Clone, Copy)]
enum Answers {
    Never,
    NotYet,
}

#[async_trait]
impl Step for Ask {
    fn id(&self) -> String {
        "ask".to_owned()
    }

    fn describe(&self) -> String {
        self.id()
    }

    fn retry(&self) -> Retry {
        Retry {
            attempts: 2,
            first_delay: Duration::from_hours(24),
        }
    }

    async fn check(&self, _: &Cx) -> Result<State, StepError> {
        match self.answers {
            Answers::Never => {
                self.asked.cancel();
                std::future::pending().await
            }
            Answers::NotYet => Err(StepError::passing("not yet")),
        }
    }

    async fn apply(&self, _: &Cx) -> Result<(), StepError> {
        Ok(())
    }

    fn counterpart(&self, _: Data) -> Option<Arc<dyn Step>> {
        None
    }
}

#[tokio::test]
async fn who_is_still_asked_or_is_to_be_asked_again_has_not_failed() {
    for answers in [Answers::Never, Answers::NotYet] {
        let asked = CancellationToken::new();
        let ask = Ask {
            asked: asked.clone(),
            answers,
        };
        let (report, ended) = ran(Arc::new(ask), asked).await;
        assert_eq!(report.outcome, RunOutcome::Interrupted);
        assert_eq!((report.failures.len(), report.skipped), (0, 1));
        assert_eq!(ended, [Outcome::Interrupted]);
    }
}

/// What a step says that waits, and for how long it has by then.
#[derive(Default)]
struct Waits(Mutex<Vec<(String, Duration)>>);

impl Sink for Waits {
    fn on(&self, _: Timestamp, event: &Event) {
        if let Event::Waiting {
            for_what, waited, ..
        } = event
        {
            self.0.lock().unwrap().push((for_what.clone(), *waited));
        }
    }
}

#[tokio::test]
async fn a_look_that_hangs_is_given_up_and_a_try_is_not() {
    let stop = CancellationToken::new();
    let heard = Arc::new(Waits::default());
    let events = Events::to(vec![heard.clone()]);
    let progress = events.progress(events.next_id(), None);
    let host: Arc<dyn host::Host> = Arc::new(FakeHost::new("a"));
    let cx = Cx::stopped_by(host, progress, stop.clone());
    let day = Duration::from_hours(24);
    let began = Mutex::new(0);
    let tried = cx.try_until(day, day, || async {
        stop.cancel();
        tokio::task::yield_now().await;
        *began.lock().unwrap() += 1;
        Ok(State::needed("more"))
    });
    assert!(tried.await.unwrap_err().is_interrupted());
    assert_eq!(*began.lock().unwrap(), 1);
    let looked = cx.wait_until(day, day, std::future::pending);
    assert!(looked.await.unwrap_err().is_interrupted());
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].0, "more");
}
