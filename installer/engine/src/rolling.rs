use std::sync::Arc;

use crate::{Name, Step};

/// How many hosts of a roll are touched at once. The first goes alone, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    One,
    /// Of all hosts of the roll; one at least.
    Percent(u8),
}

/// A change to something that is at work on several hosts, a few at a time.
///
/// Each host is asked first whether its act is needed. One where it is not goes on at once, and so does one where nothing is
/// at work yet: what is set up for the first time disturbs nobody. The others take turns, in the order of the roll. The
/// first goes alone; the next follow when all who were touched are well. After one that is not, no other is touched.
///
/// A host that is down keeps no other waiting, unless so many must be up that none of the others can be spared.
pub struct Rolling {
    pub(crate) batch: Batch,
    pub(crate) needed: usize,
    pub(crate) turns: Vec<(Name, Turn)>,
}

impl Rolling {
    #[must_use]
    pub fn new(batch: Batch) -> Self {
        Self {
            batch,
            needed: 0,
            turns: Vec::new(),
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
    before: Vec<Arc<dyn Step>>,
    act: Arc<dyn Step>,
    healthy: Vec<Arc<dyn Step>>,
    after: Vec<Arc<dyn Step>>,
}

impl Turn {
    /// The act that changes something, and is asked whether it has to.
    #[must_use]
    pub fn new(act: Arc<dyn Step>) -> Self {
        Self {
            before: Vec::new(),
            act,
            healthy: Vec::new(),
            after: Vec::new(),
        }
    }

    /// What goes ahead of the act where it is needed, such as a drain.
    #[must_use]
    pub fn before(mut self, steps: Vec<Arc<dyn Step>>) -> Self {
        self.before = steps;
        self
    }

    /// What proves, after the act, that the host is well.
    #[must_use]
    pub fn healthy(mut self, steps: Vec<Arc<dyn Step>>) -> Self {
        self.healthy = steps;
        self
    }

    /// What follows where the host is well, such as an uncordon.
    #[must_use]
    pub fn after(mut self, steps: Vec<Arc<dyn Step>>) -> Self {
        self.after = steps;
        self
    }

    /// How many steps there are ahead of the act.
    pub(crate) fn act_at(&self) -> usize {
        self.before.len()
    }

    pub(crate) fn into_steps(self) -> Vec<Arc<dyn Step>> {
        let act = [self.act];
        let ahead = self.before.into_iter().chain(act);
        ahead.chain(self.healthy).chain(self.after).collect()
    }
}
