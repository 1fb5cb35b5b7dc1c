use std::sync::Arc;

use crate::Step;

/// What waits for what where two pieces of work follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each host goes on by itself.
    SameHost,
    /// Nothing starts before everything ahead has succeeded on all hosts.
    AllHosts,
    /// Nothing starts before everything ahead has ended on all hosts, well or not.
    Settled,
    /// Nothing starts before everything ahead has succeeded on this one host.
    Host(String),
}

/// What a person asked for: stages one after another.
pub struct Plan {
    pub(crate) name: &'static str,
    pub(crate) stages: Vec<Stage>,
}

impl Plan {
    #[must_use]
    pub fn new(name: &'static str, stages: Vec<Stage>) -> Self {
        Self { name, stages }
    }
}

/// A stage of a plan: tasks one after another.
pub struct Stage {
    pub(crate) name: &'static str,
    pub(crate) order: Order,
    pub(crate) tasks: Vec<Task>,
}

impl Stage {
    /// Follows the stage before it host by host.
    #[must_use]
    pub fn new(name: &'static str, tasks: Vec<Task>) -> Self {
        Self {
            name,
            order: Order::SameHost,
            tasks,
        }
    }

    /// Waits for all stages before it.
    #[must_use]
    pub fn after(mut self, order: Order) -> Self {
        self.order = order;
        self
    }
}

/// One piece of work: steps on hosts.
pub struct Task {
    pub(crate) name: &'static str,
    pub(crate) order: Order,
    pub(crate) parts: Vec<Part>,
}

pub(crate) enum Part {
    Chain {
        host: String,
        steps: Vec<Arc<dyn Step>>,
    },
    Wait(Order),
}

impl Task {
    /// Follows the task before it host by host.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            order: Order::SameHost,
            parts: Vec::new(),
        }
    }

    /// Waits for all tasks of its stage before it.
    #[must_use]
    pub fn after(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Steps one after another on a host, behind what this task has put there before.
    #[must_use]
    pub fn on(mut self, host: &str, steps: Vec<Arc<dyn Step>>) -> Self {
        if !steps.is_empty() {
            self.parts.push(Part::Chain {
                host: host.to_owned(),
                steps,
            });
        }
        self
    }

    /// The same on each of these hosts, side by side.
    #[must_use]
    pub fn on_each<'a, H: AsRef<str> + 'a>(
        self,
        hosts: impl IntoIterator<Item = &'a H>,
        mut steps: impl FnMut(&'a H) -> Vec<Arc<dyn Step>>,
    ) -> Self {
        hosts.into_iter().fold(self, |task, host| {
            let chain = steps(host);
            task.on(host.as_ref(), chain)
        })
    }

    /// What follows in this task waits for what is ahead in it.
    #[must_use]
    pub fn then(mut self, order: Order) -> Self {
        self.parts.push(Part::Wait(order));
        self
    }
}
