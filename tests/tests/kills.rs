//! The operator's machine is lost at any moment of what changes a real cluster, twenty times for each verb. `KUBEXM_LAB_KUBE` gives
//! the programs; `make e2e-long` runs it.

use std::ops::Range;

use anyhow::{Result, ensure};
use tests::kube::Topology;
use tests::lab::kill_after;
use tests::moments::Moments;
use tests::moving::{Moving, Roles};

const KILLS: usize = 20;

/// Runs it until it has been killed often enough, or has come to its end in spite of that; and then to its end.
fn kill_again_and_again(
    moving: &Moving,
    moments: &mut Moments,
    verb: &[&str],
    seconds: Range<u64>,
) -> Result<()> {
    let mut kills = 0;
    while kills < KILLS {
        let moment = moments.draw(seconds.clone());
        let run = moving.site.lab.inside(moving.site.lab.work(), verb);
        if !kill_after(run, moment)? {
            break;
        }
        kills += 1;
    }
    println!("{}: killed {kills} times", verb.join(" "));
    ensure!(kills > 0, "it was over before it was killed");
    Ok(())
}

fn a_restore(moving: &Moving, moments: &mut Moments) -> Result<()> {
    let backup = ["etcd", "backup", "-o", "b.db", "-f", "config.yaml"];
    moving.site.kubectl("create configmap kept")?;
    moving.kubexm(&backup)?.ok()?;
    moving.site.kubectl("create configmap lost")?;
    let restore = ["etcd", "restore", "b.db", "-f", "config.yaml", "--yes"];
    kill_again_and_again(moving, moments, &restore, 2..30)?;
    moving.kubexm(&restore)?.ok()?;
    moving.site.kubectl("get configmap kept")?;
    ensure!(
        moving.site.kubectl("get configmap lost").is_err(),
        "written after the backup"
    );
    moving.settled()
}

fn a_removal(moving: &mut Moving, moments: &mut Moments, roles: &Roles<'_>) -> Result<()> {
    let delete = ["delete", "node", "node4", "-f", "config.yaml", "--yes"];
    kill_again_and_again(moving, moments, &delete, 1..8)?;
    if moving.nodes("node1")?.contains("node4") {
        moving.delete(&["node4"], &[])?;
    }
    moving.given_back(&["node4"])?;
    moving.write(&Roles {
        worker: &[],
        ..*roles
    })?;
    moving.settled()?;
    moving.write(roles)?;
    moving.add()?;
    moving.settled()
}

fn new_authorities(moving: &Moving, moments: &mut Moments) -> Result<()> {
    let rotate = ["certs", "rotate-ca", "-f", "config.yaml", "--yes"];
    kill_again_and_again(moving, moments, &rotate, 5..60)?;
    moving.kubexm(&rotate)?.ok()?;
    moving.settled()
}

fn killed_at_any_moment(topology: Topology, kind: &str, etcd: &[&str]) -> Result<()> {
    let mut moving = Moving::up(5, topology, kind)?;
    let mut moments = Moments::new()?;
    let roles = Roles {
        etcd,
        master: &["node1", "node2", "node3"],
        worker: &["node4"],
    };
    moving.write(&roles)?;
    moving.site.install()?;
    a_restore(&moving, &mut moments)?;
    a_removal(&mut moving, &mut moments, &roles)?;
    new_authorities(&moving, &mut moments)?;
    moving.site.lab.nobody_asked_for_the_world()
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e-long"]
fn long_kubeadm_bears_the_loss_of_the_operator() -> Result<()> {
    killed_at_any_moment(Topology::Stacked, "kubeadm", &[])
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e-long"]
fn long_plain_binaries_bear_the_loss_of_the_operator() -> Result<()> {
    killed_at_any_moment(Topology::Services, "kubexm", &["node1", "node2", "node3"])
}
