use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::plan::Part;
use crate::{Data, Name, Order, Plan, Stage, Step, Task};

impl Plan {
    /// What takes back whatever this plan has set up and `next` asks for no more, on these hosts: backwards, each host by
    /// itself. Data stays.
    ///
    /// Only what a counterpart names thing by thing is taken back; of what it names together, what is still asked for stays.
    #[must_use]
    pub fn gone(self, next: Self, hosts: &[String]) -> Self {
        let stays = next.asked_for(Data::Keep);
        let nothing = AskedFor::default();
        self.taken_back(hosts, |host, step| {
            let stays = stays.get(host).unwrap_or(&nothing);
            step.counterpart(Data::Keep)?.sparing(&stays.things)
        })
    }

    /// What brings these hosts to where `next` has them: all that this plan has set up there and `next` asks for no more, also
    /// what is taken back as a whole, such as a node. A host that `next` does not know is left.
    #[must_use]
    pub fn given_up(self, next: Self, hosts: &[String], data: Data) -> Self {
        let stays = next.asked_for(data);
        self.taken_back(hosts, |host, step| {
            let back = step.counterpart(data)?;
            match stays.get(host) {
                None => Some(back),
                Some(stays) if back.takes_back().is_empty() => {
                    (!stays.wholes.contains(&back.id())).then_some(back)
                }
                Some(stays) => back.sparing(&stays.things),
            }
        })
    }

    /// On these hosts, backwards and each by itself, what takes back each step.
    fn taken_back(
        self,
        hosts: &[String],
        back: impl Fn(&Name, &dyn Step) -> Option<Arc<dyn Step>>,
    ) -> Self {
        let mut seen = BTreeSet::new();
        let mut stages = Vec::new();
        for stage in self.stages {
            let mut tasks = Vec::new();
            for task in stage.tasks {
                let mut parts = Vec::new();
                for (host, steps) in task.parts.into_iter().flat_map(Part::chains) {
                    if !hosts.iter().any(|known| *known == *host) {
                        continue;
                    }
                    let back = steps.iter().filter_map(|step| back(&host, step.as_ref()));
                    let mut steps: Vec<Arc<dyn Step>> = back
                        .filter(|step| seen.insert((host.clone(), step.id())))
                        .collect();
                    steps.reverse();
                    if !steps.is_empty() {
                        parts.push(Part::Chain { host, steps });
                    }
                }
                parts.reverse();
                if !parts.is_empty() {
                    let mut task = Task::new(task.name);
                    task.parts = parts;
                    tasks.push(task);
                }
            }
            tasks.reverse();
            if !tasks.is_empty() {
                stages.push(Stage::new(stage.name, tasks).after(Order::SameHost));
            }
        }
        stages.reverse();
        Self::new(self.name, stages)
    }

    /// What its counterparts would take back, by host.
    fn asked_for(self, data: Data) -> BTreeMap<Name, AskedFor> {
        let mut all: BTreeMap<Name, AskedFor> = BTreeMap::new();
        let tasks = self.stages.into_iter().flat_map(|stage| stage.tasks);
        let parts = tasks.flat_map(|task| task.parts);
        for (host, steps) in parts.flat_map(Part::chains) {
            let of = all.entry(host).or_default();
            for back in steps.iter().filter_map(|step| step.counterpart(data)) {
                of.things.extend(back.takes_back());
                of.wholes.insert(back.id());
            }
        }
        all
    }

    /// Its stages, to be put among others.
    #[must_use]
    pub fn into_stages(self) -> Vec<Stage> {
        self.stages
    }
}

/// What a plan asks for on a host, by what would take it back.
#[derive(Default)]
struct AskedFor {
    /// Thing by thing.
    things: BTreeSet<String>,
    /// The counterparts themselves.
    wholes: BTreeSet<String>,
}
