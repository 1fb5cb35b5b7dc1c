//! A run as data: what its report holds, and what its page is made from.

use event::{RunOutcome, StageOutcome, UnitId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All of a run. Times are in milliseconds. What an older kubexm has not written is absent.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    pub kubexm: String,
    pub command: String,
    pub cluster: String,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub outcome: Option<RunOutcome>,
    pub took: u64,
    /// Why it ended so, where that is no failure of a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub changed: u64,
    pub satisfied: u64,
    pub failed: u64,
    pub skipped: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<Versions>,
    pub stages: Vec<EndedStage>,
    pub units: Vec<Ended>,
    pub warnings: Vec<String>,
}

/// The versions of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    pub name: String,
    /// As the last install before has recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// As it is recorded at the end of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What the tree holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct EndedStage {
    pub stage: String,
    pub outcome: StageOutcome,
    pub took: u64,
}

/// A unit of work that has ended, or was never begun.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ended {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<UnitId>,
    /// The unit that it waited for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<UnitId>,
    pub stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
    /// How often it was tried, where that is more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// What it has seen, where it proves something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    #[serde(flatten)]
    pub end: End,
    /// The last lines of its host's log, where it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// How a unit ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum End {
    Satisfied,
    Changed {
        #[serde(default)]
        reason: String,
    },
    Failed {
        error: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    Interrupted,
    Skipped {
        because: String,
    },
}
