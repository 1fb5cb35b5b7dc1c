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
        let stays = next.taken_back();
        let nothing = BTreeSet::new();
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
                    let stays = stays.get(&host).unwrap_or(&nothing);
                    let counterparts = steps
                        .iter()
                        .filter_map(|step| step.counterpart(Data::Keep)?.sparing(stays));
                    let mut steps: Vec<Arc<dyn Step>> = counterparts
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
    fn taken_back(self) -> BTreeMap<Name, BTreeSet<String>> {
        let mut all: BTreeMap<Name, BTreeSet<String>> = BTreeMap::new();
        let tasks = self.stages.into_iter().flat_map(|stage| stage.tasks);
        let parts = tasks.flat_map(|task| task.parts);
        for (host, steps) in parts.flat_map(Part::chains) {
            let counterparts = steps.iter().filter_map(|step| step.counterpart(Data::Keep));
            let things = counterparts.flat_map(|step| step.takes_back());
            all.entry(host).or_default().extend(things);
        }
        all
    }

    /// Its stages, to be put among others.
    #[must_use]
    pub fn into_stages(self) -> Vec<Stage> {
        self.stages
    }
}
