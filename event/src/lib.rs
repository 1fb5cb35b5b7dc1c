//! What happened, as data.
//!
//! Both halves of kubexm emit the same [`Event`]s; bars, plain lines, JSON, the journal and the report are
//! [`Sink`]s of that one stream. Every event arrives at every sink, in order per unit of work; a sink that draws may
//! skip [`Event::Progress`], and only that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A command began its work.
    RunStarted {
        /// What the person asked for, e.g. `install`.
        command: String,
        cluster: String,
        /// How many units of work are known at the start.
        units: u64,
    },
    /// A stage began on its first host.
    StageStarted { stage: String },
    /// Every unit of a stage has ended.
    StageFinished {
        stage: String,
        outcome: StageOutcome,
        #[serde(with = "millis")]
        took: Duration,
    },
    /// One unit of work began: a step on a host, a file to fetch, an image to copy.
    Started(Unit),
    /// A unit moved on. The only event that a sink may drop.
    Progress {
        id: UnitId,
        done: u64,
        total: Option<u64>,
    },
    /// What a unit waits for: the latest of them counts. It is told anew when it is another, and when it has lasted.
    Waiting {
        id: UnitId,
        for_what: String,
        /// For how long it has waited, whatever for.
        #[serde(with = "millis")]
        waited: Duration,
    },
    /// What a unit that proves something has seen, before it ends.
    Seen {
        id: UnitId,
        what: String,
        /// What of it will be trouble, though it is none yet.
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// A unit ended. Exactly one for every [`Event::Started`].
    Finished {
        id: UnitId,
        #[serde(flatten)]
        outcome: Outcome,
        #[serde(with = "millis")]
        took: Duration,
    },
    /// A unit was never started, because something it needs failed or the run was interrupted.
    Skipped { unit: Unit, because: String },
    /// A unit failed in a way that may pass, and is tried again.
    Retrying {
        id: UnitId,
        attempt: u32,
        error: String,
        #[serde(with = "millis")]
        delay: Duration,
    },
    /// Something the operator should know, but which stops nothing.
    Warning {
        message: String,
        hint: Option<String>,
    },
    /// A plain remark, e.g. where the report was written.
    Note { message: String },
    /// The command ended.
    RunFinished {
        outcome: RunOutcome,
        #[serde(with = "millis")]
        took: Duration,
        changed: u64,
        satisfied: u64,
        failed: u64,
        skipped: u64,
    },
}

/// Identifies a unit of work within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnitId(pub u64);

/// One piece of work that starts and ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unit {
    pub id: UnitId,
    /// The stage it belongs to, e.g. `etcd` at install or `images` at bundle.
    pub stage: String,
    /// The piece of work of which it is a step; none where it is one by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The host it happens on; none where the work has no host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// A sentence for people: "upload etcd to node2".
    pub title: String,
    /// How many bytes will move, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The unit whose end let this one begin, as the last of those that it waited for; none where it waited for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<UnitId>,
}

/// How a unit of work ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It was so already; nothing was done.
    Satisfied,
    /// The work was done.
    Changed {
        reason: String,
    },
    Failed {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    Interrupted,
}

/// How a stage ended over all its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageOutcome {
    Satisfied,
    Changed,
    Failed,
    Skipped,
}

/// How a whole run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    Done,
    Failed,
    Interrupted,
}

/// Receives every event. Called from many threads; must not block for long.
pub trait Sink: Send + Sync {
    fn on(&self, at: Timestamp, event: &Event);
}

/// Hands events to all sinks. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    sinks: Arc<[Arc<dyn Sink>]>,
    next: Arc<AtomicU64>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("sinks", &self.sinks.len())
            .finish_non_exhaustive()
    }
}

impl Events {
    #[must_use]
    pub fn to(sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self {
            sinks: sinks.into(),
            next: Arc::default(),
        }
    }

    /// For callers that nobody watches.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::to(Vec::new())
    }

    pub fn emit(&self, event: &Event) {
        let at = Timestamp::now();
        for sink in self.sinks.iter() {
            sink.on(at, event);
        }
    }

    pub fn warn(&self, message: impl Into<String>, hint: Option<&str>) {
        self.emit(&Event::Warning {
            message: message.into(),
            hint: hint.map(Into::into),
        });
    }

    pub fn note(&self, message: impl Into<String>) {
        self.emit(&Event::Note {
            message: message.into(),
        });
    }

    /// A new id, unique within this run.
    #[must_use]
    pub fn next_id(&self) -> UnitId {
        UnitId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Where a unit reports the bytes it moves.
    #[must_use]
    pub fn progress(&self, id: UnitId, total: Option<u64>) -> Progress {
        Progress {
            events: self.clone(),
            id: Some(id),
            total,
            done: Arc::default(),
        }
    }
}

/// Tells how one unit of work goes on: what it has moved, what it has seen. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Progress {
    events: Events,
    id: Option<UnitId>,
    total: Option<u64>,
    done: Arc<AtomicU64>,
}

impl Progress {
    /// Counts for nobody.
    #[must_use]
    pub fn unseen() -> Self {
        Self {
            events: Events::nowhere(),
            id: None,
            total: None,
            done: Arc::default(),
        }
    }

    /// Tells what the unit has seen.
    pub fn seen(&self, what: impl Into<String>, warning: Option<String>) {
        if let Some(id) = self.id {
            self.events.emit(&Event::Seen {
                id,
                what: what.into(),
                warning,
            });
        }
    }

    /// Tells what the unit waits for, in one line.
    pub fn waits(&self, for_what: &str, waited: Duration) {
        if let Some(id) = self.id {
            let lines: Vec<&str> = for_what.lines().map(str::trim).collect();
            self.events.emit(&Event::Waiting {
                id,
                for_what: lines.join("; "),
                waited,
            });
        }
    }

    pub fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(id) = self.id {
            self.events.emit(&Event::Progress {
                id,
                done,
                total: self.total,
            });
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::Serializer;

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn serialize<S: Serializer>(took: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Sink for Lines {
        fn on(&self, _: Timestamp, event: &Event) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    #[test]
    fn every_sink_sees_every_event_and_clones_count_together() {
        let (a, b) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        let events = Events::to(vec![a.clone(), b.clone()]);
        let progress = events.progress(events.next_id(), Some(10));
        progress.add(3);
        progress.clone().add(4);
        for lines in [a, b] {
            let lines = lines.0.lock().unwrap();
            assert_eq!(lines.len(), 2);
            assert!(lines[1].contains("done: 7, total: Some(10)"), "{lines:?}");
        }
    }

    #[test]
    fn what_a_unit_waits_for_is_one_line() {
        let lines = Arc::new(Lines::default());
        let events = Events::to(vec![lines.clone()]);
        let progress = events.progress(events.next_id(), None);
        progress.waits(
            "etcd has no container yet\n  it is being made",
            Duration::ZERO,
        );
        let said = lines.0.lock().unwrap().concat();
        assert!(
            said.contains("no container yet; it is being made"),
            "{said}"
        );
    }
}
