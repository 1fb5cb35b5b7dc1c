//! Checks of several steps on one host, side by side. What they ask while all of them wait comes to the host at once.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use futures::channel::oneshot;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use host::{Command, Facts, FileAttrs, Host, HostError, Output, Source, Way};

use crate::answers::{self, Answers, Remembered};
use crate::{Cx, State, Step, StepError};

/// Runs the check of a step, and beside it those of steps that follow: of those only the answers are kept, and nothing that
/// goes wrong with them is told.
pub(crate) async fn check(
    step: &dyn Step,
    ahead: Vec<&dyn Step>,
    cx: &Cx,
    answers: &Arc<Answers>,
) -> Result<State, StepError> {
    let desk = Arc::new(Desk {
        known: Remembered {
            host: cx.host.clone(),
            answers: answers.clone(),
        },
        asked: Mutex::default(),
    });
    let (own, unseen) = (cx.on(desk.clone()), cx.on(desk.clone()).unseen());
    let mut others: FuturesUnordered<_> = ahead
        .into_iter()
        .map(|step| step.check(&unseen).map(drop))
        .collect();
    let mut current = pin!(step.check(&own));
    loop {
        let ended = std::future::poll_fn(|task| {
            while let Poll::Ready(Some(())) = others.poll_next_unpin(task) {}
            match current.as_mut().poll(task) {
                Poll::Ready(state) => Poll::Ready(Some(state)),
                Poll::Pending if desk.asked().is_empty() => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            }
        });
        if let Some(state) = ended.await {
            if matches!(state, Ok(State::Satisfied)) {
                rest(&desk, answers, &mut others).await;
            }
            return state;
        }
        if !desk.answer(answers).await {
            // They ask by themselves, one after another; whoever is ahead of its time does not ask at all.
            others.clear();
        }
    }
}

/// What is asked ahead in vain costs a round trip, and those that follow gain nothing by it.
async fn rest(
    desk: &Arc<Desk>,
    answers: &Arc<Answers>,
    others: &mut FuturesUnordered<impl Future<Output = ()>>,
) {
    loop {
        let asked = std::future::poll_fn(|task| {
            loop {
                match others.poll_next_unpin(task) {
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) => break Poll::Ready(!desk.asked().is_empty()),
                    Poll::Pending if desk.asked().is_empty() => break Poll::Pending,
                    Poll::Pending => break Poll::Ready(true),
                }
            }
        });
        if !asked.await || !desk.answer(answers).await {
            return;
        }
    }
}

/// A host whose questions wait until they are put together.
struct Desk {
    known: Remembered,
    asked: Mutex<Vec<Asked>>,
}

struct Asked {
    question: Command,
    /// Dropped where there is no answer.
    reply: oneshot::Sender<Output>,
}

impl Desk {
    fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts all questions to the host, each once. Whether it has answered.
    async fn answer(&self, answers: &Answers) -> bool {
        let asked = std::mem::take(&mut *self.asked());
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut questions: Vec<Command> = Vec::new();
        for Asked { question, .. } in &asked {
            known.entry(question.text().to_owned()).or_insert_with(|| {
                questions.push(question.clone());
                questions.len() - 1
            });
        }
        let Ok(told) = answers::ask(&*self.known.host, answers, &questions).await else {
            return false;
        };
        for Asked { question, reply } in asked {
            if let Some(answer) = known.get(question.text()).and_then(|at| told.get(*at)) {
                // Whoever has asked may have gone.
                let _ = reply.send(answer.clone());
            }
        }
        true
    }

    /// None where it has to be asked alone.
    async fn wait(&self, question: Command) -> Option<Output> {
        let (reply, answer) = oneshot::channel();
        self.asked().push(Asked { question, reply });
        answer.await.ok()
    }
}

#[async_trait]
impl Host for Desk {
    fn name(&self) -> &str {
        self.known.name()
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        if self.known.knows(command) || !command.is_question() {
            return self.known.run(command).await;
        }
        match self.wait(command.clone()).await {
            Some(answer) => Ok(answer),
            None => self.known.host.run(command).await,
        }
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        self.known.upload(source, to, attrs, progress).await
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        host::content(path, self.run(&host::reading(path)).await?)
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        self.known.facts().await
    }

    async fn way_to(&self, port: u16) -> Result<Way, HostError> {
        self.known.way_to(port).await
    }
}
