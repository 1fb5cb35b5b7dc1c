//! A part of a cluster that is started anew.

use engine::{Order, Stage};
use task::{Draining, Part, Site};

/// Its services, by the stages of an install that follow: each in its turn.
#[must_use]
pub fn ask_restarts(site: &Site, part: Part, hosts: &[String]) -> Stage {
    Stage::new("ask", vec![task::ask_restarts(site, part, hosts)])
}

/// What runs in pods of the masters.
#[must_use]
pub fn restart_static_pods(site: &Site, part: Part, hosts: &[String]) -> Stage {
    Stage::new(
        "static pods",
        vec![task::restart_static_pods(site, part, hosts)],
    )
    .after(Order::AllHosts)
}

/// Its hosts, one after the other: behind one that is not well none is touched.
#[must_use]
pub fn reboots(site: &Site, hosts: &[String], draining: Draining) -> Vec<Stage> {
    let hosts = hosts.iter().filter_map(|name| site.cluster.host(name));
    let stages = hosts.flat_map(|host| {
        let stage = |verb: &str, task| Stage::new(format!("{verb} {}", host.name), vec![task]);
        [
            stage("spare", task::spare(site, host)),
            stage("reboot", task::reboot(site, host, draining)),
        ]
    });
    stages.map(|stage| stage.after(Order::AllHosts)).collect()
}
