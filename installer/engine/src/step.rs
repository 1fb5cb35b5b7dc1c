use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use event::Progress;
use host::{Host, HostError};

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

    /// Asks the host whether there is anything to do. Changes nothing.
    async fn check(&self, cx: &Cx) -> Result<State, StepError>;

    /// Brings the host there.
    async fn apply(&self, cx: &Cx) -> Result<(), StepError>;

    /// What `apply` leaves behind.
    fn trace(&self) -> Trace {
        Trace::Lasting
    }

    /// The step that takes away what this one sets up. None where it leaves nothing behind, or nothing that does not go
    /// with something else; so that nobody forgets, nobody is spared to say so.
    fn counterpart(&self, data: Data) -> Option<Arc<dyn Step>>;
}

/// What of a step's work is there after the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    Lasting,
    /// Nothing: what it sets up is for other steps of the run, and taken away by them. It is no change.
    Passing,
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
    may_pass: bool,
}

impl StepError {
    /// A fault that stays until somebody changes something.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            may_pass: false,
        }
    }

    /// A fault that may be gone the next time.
    pub fn passing(what: impl Into<String>) -> Self {
        Self {
            may_pass: true,
            ..Self::new(what)
        }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    #[must_use]
    pub fn may_pass(&self) -> bool {
        self.may_pass
    }
}

impl From<HostError> for StepError {
    fn from(error: HostError) -> Self {
        Self {
            what: error.to_string(),
            hint: error.hint(),
            may_pass: error.may_pass(),
        }
    }
}
