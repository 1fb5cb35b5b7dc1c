use std::collections::BTreeSet;
use std::ops::Range;

use petgraph::graph::NodeIndex;

use crate::drive::Skipped;
use crate::graph::{Graph, Roll};
use crate::rolling::{Batch, Company, Takes, Use};

/// Where a node stands in a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub roll: usize,
    /// The position of its host in the roll.
    pub member: usize,
    pub what: Use,
}

/// What a host said before its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// There is nothing to do.
    Idle,
    /// What is to be changed is not at work yet: it can be set up at once.
    Fresh,
    /// Something that is at work is to be changed.
    Due,
    /// Nothing will be changed, whatever is to do: everything can be asked at once.
    Open,
    Lost,
    /// The run ended before it could say.
    Interrupted,
}

/// How far a host has come in its roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It has not come to it.
    Absent,
    Looking,
    Idle,
    Fresh,
    Open,
    /// For its turn.
    Waiting,
    /// The same where nothing is at work yet: all is there that the acts work with.
    WaitingFresh,
    Turn,
    TurnFresh,
    Done,
    /// It did not even come to it.
    Lost,
    /// It was touched, and is not well.
    Failed,
}

/// What is to be done next in some roll.
pub(crate) enum Next {
    /// The turn of a host begins with this node.
    Turn(NodeIndex),
    /// The host whose turn begins with the first node is left as it is, because of the other.
    Skip(NodeIndex, Skipped, NodeIndex),
}

/// The rolls of a graph while it runs.
pub(crate) struct Rolls(Vec<State>);

struct State {
    roll: Roll,
    members: Vec<Mode>,
    /// Those that wait for their turn, in the order of the roll.
    waiting: BTreeSet<usize>,
    /// How many may still want a turn, or be touched without one.
    unsettled: usize,
    /// How many have their turn now.
    active: usize,
    /// How many are touched in the present batch. None before the first.
    batch: Option<usize>,
    /// How many of the present batch are not yet begun.
    left: usize,
    /// Where it went wrong.
    halted: Option<NodeIndex>,
    /// The same, where something was at work before.
    brought_down: Option<NodeIndex>,
    /// The first host that did not come.
    lost: Option<NodeIndex>,
    /// How many hosts are neither lost nor failed.
    up: usize,
}

impl Rolls {
    pub(crate) fn of(graph: &Graph) -> Self {
        let state = |roll: &Roll| State {
            roll: roll.clone(),
            members: vec![Mode::Absent; roll.members.len()],
            waiting: BTreeSet::new(),
            unsettled: roll.members.len(),
            active: 0,
            batch: None,
            left: 0,
            halted: None,
            brought_down: None,
            lost: None,
            up: roll.members.len(),
        };
        Self(graph.rolls.iter().map(state).collect())
    }

    pub(crate) fn mode(&self, place: Place) -> Mode {
        self.0[place.roll].members[place.member]
    }

    /// What of a host is asked whether it is needed.
    pub(crate) fn asked(&self, place: Place) -> &[NodeIndex] {
        &self.0[place.roll].roll.members[place.member].asked
    }

    /// Whether also hosts where nothing is at work wait for their turns.
    pub(crate) fn is_one_by_one(&self, place: Place) -> bool {
        self.0[place.roll].roll.takes == Takes::All
    }

    /// Where one of these rolls brought something down that was at work.
    pub(crate) fn brought_down(&self, rolls: Range<usize>) -> Option<NodeIndex> {
        self.0[rolls].iter().find_map(|state| state.brought_down)
    }

    pub(crate) fn set(&mut self, place: Place, mode: Mode) {
        let state = &mut self.0[place.roll];
        state.members[place.member] = mode;
        match mode {
            Mode::Waiting | Mode::WaitingFresh => {
                state.waiting.insert(place.member);
                state.unsettled -= 1;
            }
            Mode::Idle => state.unsettled -= 1,
            _ => {}
        }
    }

    /// A node of a roll has ended, or cannot be visited any more because of a failure.
    pub(crate) fn ended(&mut self, place: Place, index: NodeIndex, failure: Option<NodeIndex>) {
        self.0[place.roll].ended(place, index, failure);
    }

    /// The next turn, as far as there is one. `idle` says that nothing runs.
    pub(crate) fn next(&mut self, idle: bool) -> Option<Next> {
        self.0.iter_mut().find_map(|state| state.next(idle))
    }
}

impl State {
    fn ended(&mut self, place: Place, index: NodeIndex, failure: Option<NodeIndex>) {
        let member = place.member;
        let mode = self.members[member];
        let now = match (mode, failure) {
            (Mode::Failed | Mode::Lost | Mode::Done, _) => return,
            // Nothing has come of it yet.
            (Mode::Fresh, Some(_)) if place.what == Use::File => Mode::Lost,
            (Mode::Turn, Some(_)) if place.what == Use::Before => Mode::Lost,
            (Mode::Turn | Mode::TurnFresh | Mode::Fresh, Some(_)) => Mode::Failed,
            (_, Some(_)) => Mode::Lost,
            (_, None) if index == self.roll.members[member].last => Mode::Done,
            (_, None) => return,
        };
        self.members[member] = now;
        match mode {
            Mode::Turn | Mode::TurnFresh => self.active -= 1,
            Mode::Absent | Mode::Looking | Mode::Fresh | Mode::Open => self.unsettled -= 1,
            _ => {}
        }
        let is_up = matches!(mode, Mode::Waiting | Mode::WaitingFresh | Mode::Turn);
        match (now, failure) {
            (Mode::Failed, Some(cause)) => {
                self.up -= 1;
                self.halted.get_or_insert(cause);
                if mode == Mode::Turn {
                    self.brought_down.get_or_insert(cause);
                }
            }
            // One that was left as it was is up.
            (Mode::Lost, Some(cause)) if !is_up => {
                self.up -= 1;
                self.lost.get_or_insert(cause);
            }
            _ => {}
        }
    }

    fn next(&mut self, idle: bool) -> Option<Next> {
        let &member = self.waiting.first()?;
        let is_fresh = self.members[member] == Mode::WaitingFresh;
        let first = match &self.roll.members[member] {
            of if is_fresh => of.first_act,
            of => of.first,
        };
        if let Some(cause) = self.halted {
            self.waiting.pop_first();
            return Some(Next::Skip(first, Skipped::Halted(cause), cause));
        }
        let company = self.roll.members[member].company;
        if company == Company::Nobody {
            self.left = 0;
        }
        if self.left == 0 {
            if self.active > 0 || !(idle || self.is_settled(member)) {
                return None;
            }
            // The first host goes alone.
            let size = match (self.batch, company) {
                (None, _) | (_, Company::Nobody) => 1,
                (Some(_), Company::Batch) => self.roll.batch.size(self.members.len()),
            };
            let spare = self.up.saturating_sub(self.roll.needed);
            if let (0, Some(cause)) = (spare, self.lost) {
                self.waiting.pop_first();
                return Some(Next::Skip(first, Skipped::TooFew(cause), cause));
            }
            // Where all are up and none can be spared, one is all the same: nothing would ever change.
            let size = size.min(spare.max(1));
            (self.batch, self.left) = (Some(size), size);
        }
        self.waiting.pop_first();
        self.left = (self.left - 1).min(self.waiting.len());
        self.active += 1;
        self.members[member] = if is_fresh {
            Mode::TurnFresh
        } else {
            Mode::Turn
        };
        Some(Next::Turn(first))
    }

    /// Whether nobody has to be waited for who may still come. One by one, that is whoever is ahead of this one.
    fn is_settled(&self, member: usize) -> bool {
        let may_come = |mode: &Mode| matches!(mode, Mode::Absent | Mode::Looking | Mode::Fresh);
        let in_order = self.roll.takes == Takes::All && self.roll.needed == 0;
        self.unsettled == 0 || in_order && !self.members[..member].iter().any(may_come)
    }
}

impl Batch {
    fn size(self, hosts: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Hosts(hosts) => usize::from(hosts).max(1),
            Self::Percent(percent) => (hosts * usize::from(percent) / 100).max(1),
        }
    }
}
