use std::collections::BTreeSet;

use camino::Utf8Path;

use crate::plan::Part;
use crate::{Plan, Task};

impl Plan {
    /// What fetches back onto `last` whatever of this plan comes from there, from below this directory: tasks for all other
    /// hosts, and then tasks for `last` itself.
    #[must_use]
    pub fn origins(self, below: &Utf8Path, last: &str) -> (Vec<Task>, Vec<Task>) {
        let mut seen = BTreeSet::new();
        let (mut hosts, mut at_last) = (Vec::new(), Vec::new());
        for task in self.stages.into_iter().flat_map(|stage| stage.tasks) {
            let mut on_hosts = Task::new(task.name.clone());
            let mut on_last = Task::new(task.name);
            for (host, steps) in task.parts.into_iter().flat_map(Part::chains) {
                let origins = steps.iter().filter_map(|step| step.origin(below));
                let origins: Vec<_> = origins
                    .filter(|step| seen.insert((host.clone(), step.id())))
                    .collect();
                if *host == *last {
                    on_last = on_last.on(&host, origins);
                } else {
                    on_hosts = on_hosts.on(&host, origins);
                }
            }
            for (tasks, task) in [(&mut hosts, on_hosts), (&mut at_last, on_last)] {
                if !task.parts.is_empty() {
                    tasks.push(task);
                }
            }
        }
        (hosts, at_last)
    }
}
