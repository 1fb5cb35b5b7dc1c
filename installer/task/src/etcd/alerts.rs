//! What a monitoring of the site's own is told of etcd.

use std::sync::Arc;

use cluster::{EtcdType, MetricsListen};
use engine::{Step, Task};
use step::LocalText;
use templates::EtcdAlerts;

use crate::os::rendered;
use crate::{OPERATOR, Site};

const FILES: [(&str, EtcdAlerts); 2] = [
    ("rules.yaml", EtcdAlerts::Rules),
    ("prometheus-rule.yaml", EtcdAlerts::Operator),
];

/// The alerts, on the operator's machine, where somebody can have any of them: kubexm sets up no monitoring that would take
/// them.
#[must_use]
pub fn etcd_alerts(site: &Site) -> Task {
    let task = Task::new("alerts of etcd");
    let etcd = &site.cluster.spec.etcd;
    if etcd.kind == EtcdType::External || etcd.metrics_listen == MetricsListen::Host {
        return task;
    }
    let dir = site.tree.manifests("etcd-alerts");
    let file = |(name, form): (&str, EtcdAlerts)| -> Arc<dyn Step> {
        Arc::new(LocalText {
            path: dir.join(name),
            text: rendered(&form),
        })
    };
    task.on(OPERATOR, FILES.map(file).into())
}
