//! Hosts that come out of a living cluster: what the cluster has of them, and what others know of them.

use std::time::Duration;

use engine::{Data, Order, Stage};
use task::{LocalData, Site};

/// Whose they are, before anything is taken from them.
#[must_use]
pub fn recognise_leaving(before: &Site, hosts: &[String], data: Data) -> Stage {
    Stage::new(
        "recognise",
        vec![task::recognise_these(before, hosts, data)],
    )
}

/// Their pods go elsewhere.
#[must_use]
pub fn drain(nodes: &[String], timeout: Duration, local: LocalData) -> Stage {
    Stage::new("drain", vec![task::drain(nodes, timeout, local)]).after(Order::AllHosts)
}

/// The way to the control plane leads past them: of those who stay, nobody asks them any more.
#[must_use]
pub fn make_way(after: &Site) -> Stage {
    Stage::new(
        "make way",
        vec![
            task::host_files(after),
            task::load_balancer(after).after(Order::Settled),
            task::internal_balancer(after),
        ],
    )
    .after(Order::AllHosts)
}

/// Members of etcd go first: its quorum is that of those who stay.
#[must_use]
pub fn leave_etcd(before: &Site, after: &Site) -> Stage {
    Stage::new("leave etcd", vec![task::leave_etcd(before, after)]).after(Order::AllHosts)
}

/// The cluster forgets the nodes, when nothing runs there that would make them known again.
#[must_use]
pub fn forget(before: &Site, nodes: &[String]) -> Stage {
    Stage::new("forget", vec![task::delete_nodes(before, nodes)]).after(Order::AllHosts)
}

/// Of hosts that nobody could reach, what was on them is noted.
#[must_use]
pub fn note_taken_out(before: &Site, hosts: &[String]) -> Stage {
    Stage::new("note", vec![task::note_taken_out(before, hosts)])
}

/// They have been given back.
#[must_use]
pub fn given_back(after: &Site, hosts: &[String]) -> Stage {
    Stage::new("given back", vec![task::forget_taken_out(after, hosts)]).after(Order::AllHosts)
}
