//! Labels and taints of the nodes: those of the config, and those that go with a role.

use std::sync::Arc;

use cluster::{Host, Role};
use engine::{Order, Task};
use step::{MarkNodes, NodeMarks, Taint};

use crate::Site;

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const WORKER: &str = "node-role.kubernetes.io/worker";

impl Site {
    /// What this host's node is labelled and tainted with. A master that is no worker is left to the control plane.
    pub(crate) fn marks_of(&self, host: &Host) -> NodeMarks {
        let roles = self.cluster.roles_of(&host.name);
        let (master, worker) = (roles.contains(&Role::Master), roles.contains(&Role::Worker));
        let mut marks = NodeMarks::default();
        if master {
            marks.labels.insert(CONTROL_PLANE.to_owned(), String::new());
        }
        if worker {
            marks.labels.insert(WORKER.to_owned(), String::new());
        }
        if master && !worker {
            marks.taints.insert(Taint {
                key: CONTROL_PLANE.to_owned(),
                value: String::new(),
                effect: "NoSchedule".to_owned(),
            });
        }
        marks.labels.extend(host.labels.clone());
        // The config has checked their form.
        let asked = host.taints.iter().filter_map(|text| text.parse().ok());
        marks.taints.extend(asked);
        marks
    }
}

/// Has every node bear its labels and taints. A node that did not come into the cluster keeps the others from nothing.
#[must_use]
pub fn node_marks(site: &Site) -> Task {
    let task = Task::new("labels and taints").after(Order::Settled);
    let Some(first) = site.first_master() else {
        return task;
    };
    let marks = site
        .runtime_hosts()
        .into_iter()
        .map(|host| (host.name.clone(), site.marks_of(host)));
    let step = MarkNodes {
        marks: marks.collect(),
    };
    task.on(&first.name, vec![Arc::new(step)])
}
