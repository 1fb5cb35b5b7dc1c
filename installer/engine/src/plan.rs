use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{Data, Name, Rolling, Step};

/// What waits for what where two pieces of work follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Each host goes on by itself.
    SameHost,
    /// Nothing starts before everything ahead has succeeded on all hosts.
    AllHosts,
    /// Nothing starts before everything ahead has ended on all hosts, well or not.
    Settled,
    /// The same, and beyond the stage: before everything ahead in the whole plan has ended.
    AllSettled,
    /// Nothing starts before everything ahead has succeeded on this one host.
    Host(String),
    /// Nothing starts before everything ahead has ended on all of these hosts, and has succeeded on so many of them.
    Enough { of: Vec<String>, needed: usize },
    /// Nothing starts before all rolls ahead have ended, and only if nothing at work was brought down by one. Who did not
    /// come to its turn, or was set up for the first time and did not come up, keeps nobody waiting.
    Rolled,
}

/// What a person asked for: stages one after another.
pub struct Plan {
    pub(crate) name: Name,
    pub(crate) stages: Vec<Stage>,
}

impl Plan {
    #[must_use]
    pub fn new(name: impl Into<Name>, stages: Vec<Stage>) -> Self {
        Self {
            name: name.into(),
            stages,
        }
    }

    /// The same plan as a part of a larger one, under whose name its stages go: `v1.35/workers`.
    #[must_use]
    pub fn within(scope: impl Into<Name>, mut plan: Self) -> Self {
        let scope = scope.into();
        for stage in &mut plan.stages {
            stage.name = stage.name.within(&scope);
        }
        plan
    }

    /// Another plan behind this one. Host by host, as far as that one's first stage does not ask for more.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.stages.extend(next.stages);
        self
    }

    /// Puts a stage before all others.
    #[must_use]
    pub fn begin_with(mut self, stage: Stage) -> Self {
        self.stages.insert(0, stage);
        self
    }

    /// The plan that takes away what this one sets up: everything backwards, and each step replaced by its counterpart.
    ///
    /// Every host goes by itself, so that one that is down keeps no other waiting. What was set up on `last` may be
    /// what all others were set up from, and is taken away when all of them are done.
    ///
    /// Where several steps have the same counterpart on a host, it stands where the first of them is taken back: only
    /// then is nothing left that was built upon it.
    #[must_use]
    pub fn reversed(self, name: impl Into<Name>, data: Data, last: &str) -> Self {
        let mut seen = BTreeSet::new();
        let (mut hosts, mut at_last) = (Vec::new(), Vec::new());
        for stage in self.stages {
            let (on_hosts, on_last) = stage.counterparts(data, last, &mut seen);
            hosts.push(on_hosts);
            at_last.push(on_last);
        }
        let backwards = |stages: Vec<Stage>| {
            let full = stages.into_iter().filter(|stage| !stage.tasks.is_empty());
            full.rev().collect::<Vec<_>>()
        };
        let (mut stages, mut at_last) = (backwards(hosts), backwards(at_last));
        if let Some(first) = at_last.first_mut() {
            first.order = Order::AllHosts;
        }
        stages.append(&mut at_last);
        Self {
            name: name.into(),
            stages,
        }
    }
}

/// A stage of a plan: tasks one after another.
pub struct Stage {
    pub(crate) name: Name,
    pub(crate) order: Order,
    pub(crate) tasks: Vec<Task>,
}

impl Stage {
    /// Follows the stage before it host by host.
    #[must_use]
    pub fn new(name: impl Into<Name>, tasks: Vec<Task>) -> Self {
        Self {
            name: name.into(),
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

    /// The same for a stage that is among others already.
    pub fn wait(&mut self, order: Order) {
        self.order = order;
    }

    /// Without what is done on these hosts.
    #[must_use]
    pub fn sparing(mut self, hosts: &[String]) -> Self {
        let stays = |host: &Name| !hosts.iter().any(|spared| *spared == **host);
        for task in &mut self.tasks {
            task.parts.retain_mut(|part| match part {
                Part::Chain { host, .. } => stays(host),
                Part::Roll(rolling) => {
                    rolling.turns.retain(|(host, _)| stays(host));
                    !rolling.turns.is_empty()
                }
                Part::Wait(_) => true,
            });
        }
        self
    }
}

impl Stage {
    /// What takes this stage away, on all other hosts and on `last`. `seen` holds the counterparts of what was set up
    /// before, by host and id.
    fn counterparts(
        self,
        data: Data,
        last: &str,
        seen: &mut BTreeSet<(Name, String)>,
    ) -> (Self, Self) {
        let (mut hosts, mut at_last) = (Vec::new(), Vec::new());
        for task in self.tasks {
            let (mut on_hosts, mut on_last) = (Vec::new(), Vec::new());
            for (host, steps) in task.parts.into_iter().flat_map(Part::chains) {
                let counterparts = steps.iter().filter_map(|step| step.counterpart(data));
                let mut steps: Vec<_> = counterparts
                    .filter(|step| seen.insert((host.clone(), step.id())))
                    .collect();
                steps.reverse();
                let on = if *host == *last {
                    &mut on_last
                } else {
                    &mut on_hosts
                };
                if !steps.is_empty() {
                    on.push(Part::Chain { host, steps });
                }
            }
            for (tasks, mut parts) in [(&mut hosts, on_hosts), (&mut at_last, on_last)] {
                parts.reverse();
                if !parts.is_empty() {
                    tasks.push(Task {
                        name: task.name.clone(),
                        order: Order::SameHost,
                        step_order: task.step_order,
                        when: task.when,
                        parts,
                    });
                }
            }
        }
        let stage = |mut tasks: Vec<Task>| {
            tasks.reverse();
            Self::new(self.name.clone(), tasks)
        };
        (stage(hosts), stage(at_last))
    }
}

/// One piece of work: steps on hosts.
pub struct Task {
    pub(crate) name: Name,
    pub(crate) order: Order,
    pub(crate) step_order: StepOrder,
    pub(crate) when: When,
    pub(crate) parts: Vec<Part>,
}

/// How the steps of a task on one host depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepOrder {
    /// One after another.
    Chained,
    /// Each stands by itself: it waits for what is ahead of the task, and nothing behind waits for it but at a gate.
    Apart,
}

/// In which runs the steps of a task are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Where something has changed since they were done last.
    AfterChanges,
}

pub(crate) enum Part {
    Chain {
        host: Name,
        steps: Vec<Arc<dyn Step>>,
    },
    Roll(Rolling),
    Wait(Order),
}

impl Part {
    /// Its steps by host, in order.
    pub(crate) fn chains(self) -> Vec<(Name, Vec<Arc<dyn Step>>)> {
        match self {
            Self::Chain { host, steps } => vec![(host, steps)],
            Self::Roll(rolling) => {
                let turns = rolling.turns.into_iter();
                turns
                    .map(|(host, turn)| (host, turn.into_steps().map(|(_, step)| step).collect()))
                    .collect()
            }
            Self::Wait(_) => Vec::new(),
        }
    }
}

impl Task {
    /// Follows the task before it host by host.
    #[must_use]
    pub fn new(name: impl Into<Name>) -> Self {
        Self {
            name: name.into(),
            order: Order::SameHost,
            step_order: StepOrder::Chained,
            when: When::Always,
            parts: Vec::new(),
        }
    }

    /// Waits for all tasks of its stage before it.
    #[must_use]
    pub fn after(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Its steps stand by themselves: one that fails keeps no other on its host from being done.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.step_order = StepOrder::Apart;
        self
    }

    /// It need not be done again as long as no run has changed anything since all its steps went well. All of it is done
    /// again, or nothing.
    #[must_use]
    pub fn after_changes(mut self) -> Self {
        self.when = When::AfterChanges;
        self
    }

    /// Steps one after another on a host, behind what this task has put there before.
    #[must_use]
    pub fn on(mut self, host: &str, steps: Vec<Arc<dyn Step>>) -> Self {
        if !steps.is_empty() {
            self.parts.push(Part::Chain {
                host: host.into(),
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

    /// The same on several hosts, a few at a time where something that is at work changes.
    #[must_use]
    pub fn roll(mut self, rolling: Rolling) -> Self {
        self.parts.push(Part::Roll(rolling));
        self
    }

    /// What follows in this task waits for what is ahead in it.
    #[must_use]
    pub fn then(mut self, order: Order) -> Self {
        self.parts.push(Part::Wait(order));
        self
    }
}
