use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use host::{Command, Facts, FileAttrs, Host, HostError, Output, Source, Way};

/// What a host has answered since anything was last done that may have changed it.
pub(crate) struct Answers {
    /// How often something was done that may concern any host. The same for all of them.
    acts: Arc<AtomicU64>,
    state: Mutex<State>,
}

/// What had been done by some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    here: u64,
    anywhere: u64,
}

#[derive(Default)]
struct State {
    /// How often something was done here.
    acts: u64,
    /// How much of that is still going on.
    going_on: usize,
    /// Since when the answers are true.
    since: Moment,
    known: HashMap<String, Output>,
}

/// Something is being done: as long as this lives, nothing that is answered is kept.
pub(crate) struct Act<'a>(&'a Answers);

impl Answers {
    pub(crate) fn new(acts: Arc<AtomicU64>) -> Self {
        Self {
            acts,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Moment {
            here: state.acts,
            anywhere: self.acts.load(Ordering::SeqCst),
        };
        if state.since != now {
            state.since = now;
            state.known.clear();
        }
        state
    }

    /// What has been done by now.
    pub(crate) fn moment(&self) -> Moment {
        self.state().since
    }

    pub(crate) fn forget(&self) {
        self.state().known.clear();
    }

    fn known(&self, question: &Command) -> Option<Output> {
        let state = self.state();
        let known = state.known.get(question.text());
        known.filter(|_| question.is_question()).cloned()
    }

    /// Keeps what was asked after this moment, if nothing has been done since.
    fn keep(&self, asked: Moment, question: &Command, answer: &Output) {
        let mut state = self.state();
        if state.since == asked && state.going_on == 0 {
            state
                .known
                .insert(question.text().to_owned(), answer.clone());
        }
    }

    /// Something is about to be done here.
    pub(crate) fn act(&self) -> Act<'_> {
        let mut state = self.state();
        state.acts += 1;
        state.going_on += 1;
        Act(self)
    }
}

impl Drop for Act<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.acts += 1;
        state.going_on -= 1;
    }
}

/// A host that is not asked again what it has answered.
pub(crate) struct Remembered {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) answers: Arc<Answers>,
}

impl Remembered {
    pub(crate) fn knows(&self, question: &Command) -> bool {
        self.answers.known(question).is_some()
    }
}

#[async_trait]
impl Host for Remembered {
    fn name(&self) -> &str {
        self.host.name()
    }

    async fn run(&self, command: &Command) -> Result<Output, HostError> {
        match self.answers.known(command) {
            Some(answer) => Ok(answer),
            None => self.host.run(command).await,
        }
    }

    async fn upload(
        &self,
        source: &Source,
        to: &Utf8Path,
        attrs: &FileAttrs,
        progress: &Progress,
    ) -> Result<(), HostError> {
        self.host.upload(source, to, attrs, progress).await
    }

    async fn read(&self, path: &Utf8Path) -> Result<Option<Vec<u8>>, HostError> {
        match self.answers.known(&host::reading(path)) {
            Some(answer) => host::content(path, answer),
            None => self.host.read(path).await,
        }
    }

    async fn facts(&self) -> Result<Arc<Facts>, HostError> {
        self.host.facts().await
    }

    async fn way_to(&self, port: u16) -> Result<Way, HostError> {
        self.host.way_to(port).await
    }
}

/// Asks these questions at once and keeps the answers; they come in the order of the questions.
pub(crate) async fn ask(
    host: &dyn Host,
    answers: &Answers,
    questions: &[Command],
) -> Result<Vec<Output>, HostError> {
    let asked = answers.moment();
    let told = host.ask(questions).await?;
    for (question, answer) in questions.iter().zip(&told) {
        answers.keep(asked, question, answer);
    }
    Ok(told)
}
