use std::sync::Arc;

use crate::{Name, Step};

/// How many hosts of a roll are touched at once. The first goes alone, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    One,
    Hosts(u16),
    /// Of all hosts of the roll; one at least.
    Percent(u8),
}

/// Who takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Hosts where something is at work.
    AtWork,
    /// All where there is something to do.
    All,
}

/// A change to something that is at work on several hosts, a few at a time.
///
/// Each host is asked first whether anything of its turn is needed. One where it is not goes on at once, and so does one
/// where nothing is at work yet: what is set up for the first time disturbs nobody. The others take turns, in the order of
/// the roll. The first goes alone; the next follow when all who were touched are well. After one that is not, no other is
/// touched.
///
/// A host that is down keeps no other waiting, unless so many must be up that none of the others can be spared.
pub struct Rolling {
    pub(crate) batch: Batch,
    pub(crate) takes: Takes,
    pub(crate) needed: usize,
    pub(crate) turns: Vec<(Name, Turn)>,
}

impl Rolling {
    #[must_use]
    pub fn new(batch: Batch) -> Self {
        Self {
            batch,
            takes: Takes::AtWork,
            needed: 0,
            turns: Vec::new(),
        }
    }

    /// One host after the other, also where nothing is at work yet: what they come into takes in one at a time. What the
    /// acts work with is put there before.
    #[must_use]
    pub fn one_by_one() -> Self {
        Self {
            takes: Takes::All,
            ..Self::new(Batch::One)
        }
    }

    /// So many of the hosts must be up at any time.
    #[must_use]
    pub fn needs(mut self, up: usize) -> Self {
        self.needed = up;
        self
    }

    /// What is done on a host.
    #[must_use]
    pub fn on(mut self, host: &str, turn: Turn) -> Self {
        self.turns.push((host.into(), turn));
        self
    }
}

/// What is done on one host of a roll.
pub struct Turn {
    company: Company,
    before: Vec<Arc<dyn Step>>,
    files: Vec<Arc<dyn Step>>,
    /// The first act, and what follows it.
    rest: Vec<(Use, Arc<dyn Step>)>,
}

/// Who may have a turn at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    Batch,
    Nobody,
}

/// What a step is for in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Ahead of a change to something at work: nothing has been touched yet.
    Before,
    /// Behind a change to something at work.
    Behind,
    /// What the acts work with: a reason for a turn, and part of it.
    File,
    Act,
}

impl Use {
    /// It is asked, before the turn, whether it is needed.
    pub(crate) fn is_asked(self) -> bool {
        matches!(self, Self::File | Self::Act)
    }
}

impl Turn {
    /// The act that changes something, and is asked whether it has to.
    #[must_use]
    pub fn new(act: Arc<dyn Step>) -> Self {
        Self {
            company: Company::Batch,
            before: Vec::new(),
            files: Vec::new(),
            rest: vec![(Use::Act, act)],
        }
    }

    /// No other host has its turn at the same time, whatever the batch is: masters hold a majority together.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.company = Company::Nobody;
        self
    }

    /// What goes ahead of all others where something at work changes, such as a drain. Where it fails nothing was touched, and
    /// the others go on.
    #[must_use]
    pub fn before(mut self, steps: Vec<Arc<dyn Step>>) -> Self {
        self.before = steps;
        self
    }

    /// What the acts work with, such as programs: nobody shall find the new ones before the turn.
    #[must_use]
    pub fn with(mut self, files: Vec<Arc<dyn Step>>) -> Self {
        self.files = files;
        self
    }

    /// A further act, behind all that is there.
    #[must_use]
    pub fn then(mut self, act: Arc<dyn Step>) -> Self {
        self.rest.push((Use::Act, act));
        self
    }

    /// What proves, after the acts so far, that the host is well; and what follows where it is, such as an uncordon.
    #[must_use]
    pub fn healthy(mut self, steps: Vec<Arc<dyn Step>>) -> Self {
        self.rest
            .extend(steps.into_iter().map(|step| (Use::Behind, step)));
        self
    }

    pub(crate) fn company(&self) -> Company {
        self.company
    }

    /// All of it, in order.
    pub(crate) fn into_steps(self) -> impl Iterator<Item = (Use, Arc<dyn Step>)> {
        let of = |what, steps: Vec<Arc<dyn Step>>| steps.into_iter().map(move |step| (what, step));
        of(Use::Before, self.before)
            .chain(of(Use::File, self.files))
            .chain(self.rest)
    }
}
