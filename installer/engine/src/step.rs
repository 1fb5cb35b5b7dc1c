use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use camino::Utf8Path;
use event::Progress;
use host::{Host, HostError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::SlotId;

/// One act on one host. Idempotent: `apply` twice leaves what `apply` once leaves, and a killed `apply` is mended by
/// the next.
#[async_trait]
pub trait Step: Send + Sync {
    /// Names the act within its task, the same in every run: `upload /etc/etcd/etcd.env`.
    fn id(&self) -> String;

    /// The sentence for plan and progress: "upload etcd v3.5.24".
    fn describe(&self) -> String;

    /// Everything that `apply` depends on beside the id, for the journal. Only its digest is kept; leave secrets out.
    fn inputs(&self) -> String {
        String::new()
    }

    /// How many bytes `apply` moves, where that is known.
    fn bytes(&self) -> Option<u64> {
        None
    }

    /// How often a passing fault is tried again.
    fn retry(&self) -> Retry {
        Retry::NETWORK
    }

    /// The slots that are full once this step is satisfied.
    fn fills(&self) -> Vec<SlotId> {
        Vec::new()
    }

    /// The slots that must be full before this step is checked.
    fn takes(&self) -> Vec<SlotId> {
        Vec::new()
    }

    /// Whom `check` asks.
    fn asks(&self) -> Asks {
        Asks::Anybody
    }

    /// Where the step is done, where that is not the host that it is about: a node is emptied by the control plane, and in
    /// the turn of that node.
    fn done_on(&self) -> Option<&'static str> {
        None
    }

    /// Asks the host whether there is anything to do. Changes nothing.
    async fn check(&self, cx: &Cx) -> Result<State, StepError>;

    /// Brings the host there.
    async fn apply(&self, cx: &Cx) -> Result<(), StepError>;

    /// Whether something is at work on the host that `apply` would disturb. In a [`crate::Rolling`], what is not can be set up
    /// without a turn. Asked of its acts only where there is something to do; one of them must know.
    async fn at_work(&self, _: &Cx) -> Result<bool, StepError> {
        Ok(false)
    }

    /// The step that fetches onto the operator's machine what this one needs there, from where this one has brought it to:
    /// for whoever has lost it. Of what lies below this directory alone.
    fn origin(&self, _below: &Utf8Path) -> Option<Arc<dyn Step>> {
        None
    }

    /// Of a step that takes something back: each thing of the host that it takes back. Nothing where it may be done only when
    /// the whole cluster goes.
    fn takes_back(&self) -> Vec<String> {
        Vec::new()
    }

    /// The same step without what shall stay.
    fn sparing(&self, _stays: &BTreeSet<String>) -> Option<Arc<dyn Step>> {
        None
    }

    /// What `apply` leaves behind.
    fn trace(&self) -> Trace {
        Trace::Lasting
    }

    /// The step that takes away what this one sets up. None where it leaves nothing behind, or nothing that does not go
    /// with something else; so that nobody forgets, nobody is spared to say so.
    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>>;
}

/// Whom a check asks, and so whether it can be made ahead of its turn, together with those of other steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Its own host, of what only acts on that host change: files, units, packages, the kernel. Nothing else follows from it.
    /// And what `apply` changes is of that host alone.
    Host,
    /// The cluster, other hosts, something that changes by itself; or a check that does more than to ask.
    Anybody,
}

/// What of a step's work is there after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    Lasting,
    /// Nothing: what it sets up is for other steps of the run, and taken away by them. It is no change.
    Passing,
    /// A note of what was done, which changes nothing of how anything works.
    Note,
}

/// What becomes of data that cannot be made again: a store, a registry's images, authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Keep,
    Purge,
}

/// What a step works with.
#[derive(Clone)]
pub struct Cx {
    pub host: Arc<dyn Host>,
    pub progress: Progress,
    /// Cancelled when the run is to end: nothing that has not begun is begun then.
    pub stop: CancellationToken,
}

impl Cx {
    /// For a run that nobody interrupts.
    #[must_use]
    pub fn new(host: Arc<dyn Host>, progress: Progress) -> Self {
        Self::stopped_by(host, progress, CancellationToken::new())
    }

    /// For a run that ends when this is cancelled.
    #[must_use]
    pub fn stopped_by(host: Arc<dyn Host>, progress: Progress, stop: CancellationToken) -> Self {
        Self {
            host,
            progress,
            stop,
        }
    }

    /// The same on another host, or on this one in another way.
    #[must_use]
    pub(crate) fn on(&self, host: Arc<dyn Host>) -> Self {
        Self {
            host,
            ..self.clone()
        }
    }

    /// The same for nobody who watches.
    #[must_use]
    pub(crate) fn unseen(self) -> Self {
        Self {
            progress: Progress::unseen(),
            ..self
        }
    }

    /// Ends when the run is to end: nothing that has not begun is begun then.
    pub async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    /// Looks every so often until nothing is lacking any more, or patience is over: then it gives what was lacking last.
    /// Tells what it waits for. When the run is interrupted it ends at once, also in the middle of a look, as nothing that
    /// went wrong.
    pub async fn wait_until<Looking>(
        &self,
        patience: Duration,
        every: Duration,
        mut look: impl FnMut() -> Looking,
    ) -> Result<State, StepError>
    where
        Looking: Future<Output = Result<State, StepError>>,
    {
        self.try_until(patience, every, || self.unless_stopped(look()))
            .await
    }

    /// The same for a try that changes something: one that has begun is ended.
    pub async fn try_until<Trying>(
        &self,
        patience: Duration,
        every: Duration,
        mut attempt: impl FnMut() -> Trying,
    ) -> Result<State, StepError>
    where
        Trying: Future<Output = Result<State, StepError>>,
    {
        let began = Instant::now();
        let mut told = WaitNotice::default();
        loop {
            let State::Needed(lacking) = attempt().await? else {
                return Ok(State::Satisfied);
            };
            let waited = began.elapsed();
            if waited >= patience {
                return Ok(State::Needed(lacking));
            }
            if told.is_news(&lacking, waited) {
                self.progress.waits(&lacking, waited);
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(StepError::interrupted(&lacking)),
                () = sleep(every) => {}
            }
        }
    }

    /// Does what changes nothing, and gives it up when the run is interrupted.
    pub async fn unless_stopped<T>(
        &self,
        look: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        tokio::select! {
            biased;
            looked = look => looked,
            () = self.stop.cancelled() => Err(StepError::interrupted("the answer was still to come")),
        }
    }
}

/// What was told of a wait.
#[derive(Default)]
struct WaitNotice {
    lacking: String,
    /// It is told again by then, for those who read lines.
    again: Option<Duration>,
}

impl WaitNotice {
    const FIRST_AGAIN: Duration = Duration::from_secs(10);

    fn is_news(&mut self, lacking: &str, waited: Duration) -> bool {
        let again = self.again.unwrap_or(Self::FIRST_AGAIN);
        let due = waited >= again;
        if due {
            self.again = Some(waited * 2);
        }
        let other = lacking != self.lacking;
        if other {
            lacking.clone_into(&mut self.lacking);
        }
        due || other
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Satisfied,
    /// And why: "differs", "is not running".
    Needed(String),
}

impl State {
    pub fn needed(reason: impl Into<String>) -> Self {
        Self::Needed(reason.into())
    }
}

/// How often, and how far apart, a passing fault is tried again. The delay doubles up to ten seconds, or stays as it is
/// if it is longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    pub first_delay: Duration,
}

impl Retry {
    const LONGEST_DELAY: Duration = Duration::from_secs(10);

    /// What follows this delay.
    pub(crate) fn next_delay(self, delay: Duration) -> Duration {
        (delay * 2).min(Self::LONGEST_DELAY.max(self.first_delay))
    }

    /// How long it takes until the last attempt, by the delays alone.
    #[must_use]
    pub fn total(self) -> Duration {
        let delays = std::iter::successors(Some(self.first_delay), |delay| {
            Some(self.next_delay(*delay))
        });
        let delays = delays.take(self.attempts.saturating_sub(1) as usize);
        delays.sum()
    }

    /// Every step crosses a network.
    pub const NETWORK: Self = Self {
        attempts: 3,
        first_delay: Duration::from_secs(1),
    };
}

/// Why a step could not do its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct StepError {
    what: String,
    hint: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lasting,
    Passing,
    Interrupted,
}

impl StepError {
    /// A fault that stays until somebody changes something.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            kind: Kind::Lasting,
        }
    }

    /// A fault that may be gone the next time.
    pub fn passing(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Passing,
            ..Self::new(what)
        }
    }

    /// No fault: the run was interrupted while the step waited for something.
    #[must_use]
    pub fn interrupted(lacking: &str) -> Self {
        Self {
            kind: Kind::Interrupted,
            ..Self::new(format!(
                "the run was interrupted while it waited: {lacking}"
            ))
        }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault, met while this was looked at. Whether it may pass stays known, which a new error of its words forgets.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    /// The same fault, and what has become of it.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.what = format!("{}; {more}", self.what);
        self
    }

    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.kind == Kind::Passing
    }

    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.kind == Kind::Interrupted
    }
}

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        Self {
            what: error.to_string(),
            hint: error.hint(),
            kind: if error.may_pass() {
                Kind::Passing
            } else {
                Kind::Lasting
            },
        }
    }
}
