//! Checks of several steps on one host, side by side. What they ask while all of them wait comes to the host at once.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use host::{Command, Facts, FileAttrs, Host, HostError, Output, Source, Way};

use crate::answers::{self, Answers, Remembered};
use crate::{Cx, State, Step, StepError};

/// Runs the check of a step, and beside it those of steps that follow: of those only the answers are kept, and nothing that
/// goes wrong with them is told. What is asked ahead in vain costs little, but nothing more is asked where the step has
/// something to do.
pub(crate) async fn check(
    step: &dyn Step,
    ahead: Vec<&dyn Step>,
    cx: &Cx,
    answers: &Arc<Answers>,
) -> Result<State, StepError> {
    // A host that cannot be reached is tried once, and not by each of them.
    cx.host.facts().await?;
    let batch = Arc::new(QuestionBatch {
        known: Remembered {
            host: cx.host.clone(),
            answers: answers.clone(),
        },
        asked: Mutex::default(),
    });
    let (own, unseen) = (cx.on(batch.clone()), cx.on(batch.clone()).unseen());
    let mut others: FuturesUnordered<_> = ahead
        .into_iter()
        .map(|step| step.check(&unseen).map(drop))
        .collect();
    let mut current = pin!(step.check(&own));
    let mut answering: Option<BoxFuture<'_, Result<(), HostError>>> = None;
    let mut state = None;
    poll_fn(|task| {
        loop {
            // All of them go on while the host answers: one may hold what another needs, such as the right to connect.
            while let Poll::Ready(Some(())) = others.poll_next_unpin(task) {}
            if state.is_none()
                && let Poll::Ready(found) = current.as_mut().poll(task)
            {
                state = Some(found);
            }
            if let Some(answer) = &mut answering {
                if ready!(Pin::new(answer).poll(task)).is_err() {
                    // The step asks by itself, one after another; whoever is ahead of its time does not ask at all.
                    others.clear();
                }
                answering = None;
                continue;
            }
            let is_over = match &state {
                Some(Ok(State::Satisfied)) => others.is_empty(),
                Some(_) => true,
                None => false,
            };
            if is_over && let Some(state) = state.take() {
                return Poll::Ready(state);
            }
            if batch.asked().is_empty() {
                return Poll::Pending;
            }
            answering = Some(batch.answer(answers).boxed());
        }
    })
    .await
}

/// A host whose questions wait until they are put together.
struct QuestionBatch {
    known: Remembered,
    asked: Mutex<Vec<Question>>,
}

struct Question {
    question: Command,
    /// Dropped where there is no answer.
    reply: oneshot::Sender<Output>,
}

impl QuestionBatch {
    fn asked(&self) -> MutexGuard<'_, Vec<Question>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts all questions to the host, each once.
    async fn answer(&self, answers: &Answers) -> Result<(), HostError> {
        let asked = std::mem::take(&mut *self.asked());
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut questions: Vec<Command> = Vec::new();
        for Question { question, .. } in &asked {
            known.entry(question.text().to_owned()).or_insert_with(|| {
                questions.push(question.clone());
                questions.len() - 1
            });
        }
        let told = answers::ask(&*self.known.host, answers, &questions).await?;
        for Question { question, reply } in asked {
            if let Some(answer) = known.get(question.text()).and_then(|at| told.get(*at)) {
                // Whoever has asked may have gone.
                let _ = reply.send(answer.clone());
            }
        }
        Ok(())
    }

    /// None where it has to be asked alone.
    async fn wait(&self, question: Command) -> Option<Output> {
        let (reply, answer) = oneshot::channel();
        self.asked().push(Question { question, reply });
        answer.await.ok()
    }
}

#[async_trait]
impl Host for QuestionBatch {
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
