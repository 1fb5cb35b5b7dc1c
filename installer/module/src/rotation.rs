//! Authorities that give way to others: three moves, each proven before the next begins.

use engine::{Order, Plan, Stage};
use task::{Move, Rotation, Site};

use crate::operator::secrets;
use crate::proof::{Occasion, proof};

/// The moves that are still to be made, each as a plan of its own.
#[must_use]
pub fn rotation(site: &Site, rotation: &Rotation) -> Vec<Plan> {
    let moves = Move::ALL.into_iter().filter(|to| *to >= rotation.from);
    moves
        .map(|to| Plan::within(to.name(), Plan::new("rotation", stages(site, rotation, to))))
        .collect()
}

/// One move. Nothing goes on beside anything: who is behind another move than its neighbours does not understand them.
fn stages(site: &Site, rotation: &Rotation, to: Move) -> Vec<Stage> {
    let mut sign = vec![
        task::begin_rotation(site, rotation),
        task::take_move(site, rotation, to),
    ];
    sign.extend(secrets(site));
    sign.push(task::sign_kubelet_clients(site));
    let files = vec![
        task::bring_authorities(site),
        task::bring_signed(site, rotation, to),
        task::bring_registry_certificate(site),
    ];
    let balancers = vec![
        task::load_balancer(site),
        task::prove_virtual_addresses(site),
        task::internal_balancer(site),
        task::reach_endpoint(site),
    ];
    let masters = vec![
        task::restart_masters(site, rotation, to),
        task::kube_vip(site),
    ];
    let stages = [
        ("sign", sign),
        ("files", files),
        (
            "etcd",
            vec![
                task::restart_members(site, rotation, to),
                task::await_store(site),
            ],
        ),
        ("load balancers", balancers),
        ("control plane", masters),
        ("nodes", vec![task::restart_nodes(site)]),
        ("clients", vec![task::tell_clients(site, rotation)]),
    ];
    // Those who were shut out by the last move would be told of too late.
    let successors = (to == Move::Issue).then(|| {
        let proven = task::prove_successors(site, rotation);
        ("successors", vec![proven])
    });
    let mut stages: Vec<Stage> = stages
        .into_iter()
        .chain(successors)
        .map(|(name, tasks)| Stage::new(name, tasks).after(Order::AllHosts))
        .collect();
    stages.push(proof(site, Occasion::Changed));
    if to == Move::Drop {
        let end = task::end_rotation(site, rotation);
        stages.push(Stage::new("end", end.into()).after(Order::AllHosts));
    }
    stages
}
