//! What a page of a run shows, worked out of its report: stages and hosts, and how each of them fared.

use std::collections::HashMap;

use pipeline::{CONTROL_PLANE, ETCD, OPERATOR};

use super::names::natural;
use crate::output::report::{End, Ended, Run};

/// How a unit ended, or several of them at worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    Satisfied,
    Changed,
    /// Of several: some were not begun. No unit ends so.
    Partly,
    Skipped,
    Interrupted,
    Failed,
}

impl State {
    pub const ALL: [Self; 6] = [
        Self::Changed,
        Self::Satisfied,
        Self::Partly,
        Self::Failed,
        Self::Interrupted,
        Self::Skipped,
    ];

    pub const fn of(end: &End) -> Self {
        match end {
            End::Satisfied => Self::Satisfied,
            End::Changed { .. } => Self::Changed,
            End::Failed { .. } => Self::Failed,
            End::Interrupted => Self::Interrupted,
            End::Skipped { .. } => Self::Skipped,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Satisfied => "as it should be",
            Self::Changed => "changed",
            Self::Partly => "done in part",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// Its class in the style.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Satisfied => "ok",
            Self::Changed => "changed",
            Self::Partly => "partly",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// What tells it where there is no colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Satisfied => "\u{2713}",
            Self::Changed => "\u{25cf}",
            Self::Partly => "\u{25d0}",
            Self::Skipped => "\u{2013}",
            Self::Interrupted => "!",
            Self::Failed => "\u{2717}",
        }
    }
}

/// From when to when, in milliseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub const fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    fn and(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
        }
    }
}

/// How often units ended how, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    counts: [u64; State::ALL.len()],
    pub span: Option<Span>,
    /// How long all units together took, in milliseconds.
    pub work: u64,
}

impl Tally {
    pub fn add(&mut self, state: State, span: Option<Span>) {
        self.counts[state as usize] += 1;
        self.work += span.map_or(0, Span::length);
        self.cover(span);
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.counts.iter_mut().zip(other.counts) {
            *mine += others;
        }
        self.work += other.work;
        self.cover(other.span);
    }

    fn cover(&mut self, span: Option<Span>) {
        self.span = match (self.span, span) {
            (Some(mine), Some(other)) => Some(mine.and(other)),
            (mine, other) => mine.or(other),
        };
    }

    pub fn count(&self, state: State) -> u64 {
        self.counts[state as usize]
    }

    /// How it went; none where there was nothing.
    pub fn state(&self) -> Option<State> {
        use State::{Changed, Failed, Interrupted, Partly, Satisfied, Skipped};
        let some = |state| self.count(state) > 0;
        let done = some(Changed) || some(Satisfied);
        match () {
            () if some(Failed) => Some(Failed),
            () if some(Interrupted) => Some(Interrupted),
            () if some(Skipped) && done => Some(Partly),
            () if some(Skipped) => Some(Skipped),
            () if some(Changed) => Some(Changed),
            () => some(Satisfied).then_some(Satisfied),
        }
    }

    pub fn length(&self) -> u64 {
        self.span.map_or(0, Span::length)
    }
}

pub struct Stage<'a> {
    pub name: &'a str,
    pub tally: Tally,
    pub hosts: usize,
}

pub struct Host<'a> {
    pub name: &'a str,
    pub tally: Tally,
    /// By stage, in the order of the stages.
    pub cells: Vec<Tally>,
}

pub struct Model<'a> {
    pub run: &'a Run,
    /// How long the run took, as its units tell it as well.
    pub total: u64,
    /// In the order in which they began.
    pub stages: Vec<Stage<'a>>,
    pub hosts: Vec<Host<'a>>,
}

impl<'a> Model<'a> {
    pub fn of(run: &'a Run) -> Self {
        let stages = stages(run);
        let at: HashMap<&str, usize> = (stages.iter().map(|stage| stage.name)).zip(0..).collect();
        let mut hosts: HashMap<&str, Host<'a>> = HashMap::new();
        for unit in &run.units {
            let Some(name) = unit.host.as_deref() else {
                continue;
            };
            let host = hosts.entry(name).or_insert_with(|| Host {
                name,
                tally: Tally::default(),
                cells: vec![Tally::default(); stages.len()],
            });
            let (state, span) = (State::of(&unit.end), span(run, unit));
            host.tally.add(state, span);
            host.cells[at[unit.stage.as_str()]].add(state, span);
        }
        let mut hosts: Vec<Host<'a>> = hosts.into_values().collect();
        hosts.sort_unstable_by(|a, b| natural(a.name, b.name));
        let last = stages.iter().filter_map(|stage| stage.tally.span);
        let last = last.map(|span| span.to).max().unwrap_or_default();
        let mut model = Self {
            run,
            total: run.took.max(last).max(1),
            stages,
            hosts,
        };
        for (at, stage) in model.stages.iter_mut().enumerate() {
            let took_part = |host: &&Host<'_>| host.cells[at].state().is_some();
            stage.hosts = model.hosts.iter().filter(took_part).count();
        }
        model
    }

    /// How many machines took part, but for the operator's own.
    pub fn machines(&self) -> u64 {
        let named = |host: &&Host<'_>| ![OPERATOR, CONTROL_PLANE, ETCD].contains(&host.name);
        self.hosts.iter().filter(named).count() as u64
    }

    /// When a unit was at work.
    pub fn span(&self, unit: &Ended) -> Option<Span> {
        span(self.run, unit)
    }
}

fn span(run: &Run, unit: &Ended) -> Option<Span> {
    let since = unit.started?.duration_since(run.started?).as_millis();
    let from = u64::try_from(since).unwrap_or_default();
    let to = from.saturating_add(unit.took.unwrap_or_default());
    Some(Span { from, to })
}

fn stages(run: &Run) -> Vec<Stage<'_>> {
    let mut stages: Vec<Stage<'_>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for unit in &run.units {
        let at = *known.entry(&unit.stage).or_insert_with(|| {
            stages.push(Stage {
                name: &unit.stage,
                tally: Tally::default(),
                hosts: 0,
            });
            stages.len() - 1
        });
        stages[at].tally.add(State::of(&unit.end), span(run, unit));
    }
    // Those that never began stay in their order, behind all others.
    stages.sort_by_key(|stage| stage.tally.span.map_or(u64::MAX, |span| span.from));
    stages
}
