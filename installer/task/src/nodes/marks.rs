//! Labels and taints of the nodes: those of the config, and those that go with a role.

use std::sync::Arc;

use cluster::{Host, Role};
use engine::{Order, Task};
use step::{MarkNodes, NodeMarks, Taint};
use templates::NodeTaint;

use crate::Site;
use crate::control_plane::once;

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
            let keys = self.traits().control_plane_taints.iter();
            marks.taints.extend(keys.map(|key| Taint {
                key: (*key).to_owned(),
                value: String::new(),
                effect: "NoSchedule".to_owned(),
            }));
        }
        let classes = host.runtime_classes.iter();
        let classes = classes.map(|class| (class.label().to_owned(), "true".to_owned()));
        marks.labels.extend(classes);
        marks.labels.extend(host.labels.clone());
        // The config has checked their form.
        let asked = host.taints.iter().filter_map(|text| text.parse().ok());
        marks.taints.extend(asked);
        marks
    }

    /// The taints that this host's node comes into the cluster with.
    pub(crate) fn taints_of(&self, host: &Host) -> Vec<NodeTaint> {
        let taints = self.marks_of(host).taints.into_iter();
        taints
            .map(|taint| NodeTaint {
                key: taint.key,
                value: taint.value,
                effect: taint.effect,
            })
            .collect()
    }
}

/// Has every node bear its labels and taints, masters among them that join as the workers do. A node that did not come
/// into the cluster keeps the others from nothing.
#[must_use]
pub fn node_marks(site: &Site) -> Task {
    let task = Task::new("labels and taints").after(Order::AllSettled);
    let marks = site
        .runtime_hosts()
        .into_iter()
        .map(|host| (host.name.clone(), site.marks_of(host)));
    let step = MarkNodes {
        marks: marks.collect(),
    };
    once(site, task, vec![Arc::new(step)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::site;

    fn taints(version: &str, host: &str) -> Vec<String> {
        let site = site(&format!("kubernetes: {{version: {version}}}"));
        let marks = site.marks_of(site.cluster.host(host).unwrap());
        marks.taints.iter().map(Taint::to_string).collect()
    }

    #[test]
    fn a_master_that_is_no_worker_is_left_to_the_control_plane() {
        assert_eq!(
            taints("v1.36.2", "m1"),
            ["node-role.kubernetes.io/control-plane:NoSchedule"]
        );
        assert_eq!(
            taints("v1.24.17", "m1"),
            [
                "node-role.kubernetes.io/control-plane:NoSchedule",
                "node-role.kubernetes.io/master:NoSchedule",
            ]
        );
        assert!(taints("v1.36.2", "m2").is_empty());
        assert_eq!(taints("v1.36.2", "w1"), ["gpu=yes:NoSchedule"]);
    }

    #[test]
    fn a_node_has_the_labels_of_its_roles_and_of_the_config() {
        let site = site("{}");
        let labels = |host| {
            let marks = site.marks_of(site.cluster.host(host).unwrap());
            marks.labels.into_iter().collect::<Vec<_>>()
        };
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(labels("m1"), [label(CONTROL_PLANE, "")]);
        assert_eq!(labels("m2"), [label(CONTROL_PLANE, ""), label(WORKER, "")]);
        assert_eq!(labels("w1"), [label("disk", "ssd"), label(WORKER, "")]);
    }
}
