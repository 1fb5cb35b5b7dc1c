//! Hosts that come and go, with real Kubernetes in the lab. `KUBEXM_LAB_KUBE` gives its programs; without them `make e2e` leaves
//! these tests out.

use anyhow::{Result, ensure};
use tests::kube::Topology;
use tests::moving::{Moving, Roles};

/// Three pods that must not be fewer than two, on nodes that come and go.
fn a_workload(moving: &Moving, master: &str) -> Result<()> {
    let image = moving.site.kubectl_on(
        master,
        "get deployment coredns -n kube-system --output 'jsonpath={.spec.template.spec.containers[0].image}'",
    )?;
    let create = format!(
        "create deployment guarded --replicas=2 --image={}",
        image.trim()
    );
    moving.site.kubectl_on(master, &create)?;
    moving.site.kubectl_on(
        master,
        "create poddisruptionbudget guarded --selector=app=guarded --min-available=1",
    )?;
    let wait = "rollout status deployment guarded --timeout=120s";
    moving.site.kubectl_on(master, wait).map(drop)
}

/// Services everywhere, and a host that nobody misses meanwhile.
fn restarts(moving: &Moving) -> Result<()> {
    let started = |node: &str| moving.site.started(node, "kubelet containerd");
    let boot = |node: &str| {
        moving
            .site
            .lab
            .on(node, "cat /proc/sys/kernel/random/boot_id")
    };
    let nodes = ["node1", "node3", "node5"];
    let before: Vec<String> = nodes
        .iter()
        .map(|node| started(node))
        .collect::<Result<_>>()?;
    moving
        .kubexm(&["restart", "cluster", "-f", "config.yaml"])?
        .ok()?;
    for (node, before) in nodes.iter().zip(&before) {
        ensure!(
            started(node)? != *before,
            "not restarted on {node}: {before}"
        );
    }
    let booted = boot("node5")?;
    moving
        .kubexm(&["restart", "nodes", "node5", "-f", "config.yaml", "--reboot"])?
        .ok()?;
    ensure!(boot("node5")? != booted, "node5 was not restarted");
    let cordoned = "get node node5 --output 'jsonpath={.spec.unschedulable}'";
    ensure!(
        moving.site.kubectl_on("node2", cordoned)?.trim().is_empty(),
        "node5 stays cordoned"
    );
    moving.settled()
}

/// What keeps a node from being drained is named, and what would be lost with it before anything is touched.
fn what_blocks_is_named(moving: &Moving, master: &str) -> Result<()> {
    let refused = |why: &str| -> Result<()> {
        let delete = [
            "delete",
            "node",
            "node4",
            "-f",
            "config.yaml",
            "--yes",
            "--drain-timeout",
            "5s",
        ];
        let ended = moving.kubexm(&delete)?.with(1)?;
        ensure!(ended.text.contains(why), "{why}:\n{}", ended.text);
        Ok(())
    };
    let image =
        "get deployment guarded --output 'jsonpath={.spec.template.spec.containers[0].image}'";
    let image = moving.site.kubectl_on(master, image)?;
    moving
        .site
        .kubectl_on(master, &format!("run lone --image={}", image.trim()))?;
    let placed = "wait pod lone --for=condition=PodScheduled --timeout=60s";
    moving.site.kubectl_on(master, placed)?;
    refused("pod default/lone: nobody makes it again")?;
    let taint = "get node node4 --output 'jsonpath={.spec.unschedulable}'";
    ensure!(
        moving.site.kubectl_on(master, taint)?.trim().is_empty(),
        "it was cordoned"
    );
    moving
        .site
        .kubectl_on(master, "delete pod lone --grace-period=1")?;
    refused("the budget guarded needs 1 healthy pods and has 1")?;
    moving
        .site
        .kubectl_on(master, "delete deployment,poddisruptionbudget guarded")?;
    moving.site.kubectl_on(master, "uncordon node4").map(drop)
}

/// A node that is lost is taken out while it is down, told when it comes back, and given back then.
fn a_lost_worker_comes_back(
    moving: &mut Moving,
    worker: &str,
    master: &str,
    with: &Roles<'_>,
    without: &Roles<'_>,
) -> Result<()> {
    moving.site.lab.lab(&["node-kill", worker])?.ok()?;
    moving.delete(&[worker], &["--dead"])?;
    ensure!(
        !moving.nodes(master)?.contains(worker),
        "{}",
        moving.nodes(master)?
    );
    moving.write(without)?;
    moving.settled()?;
    moving.site.lab.lab(&["node-start", worker])?.ok()?;
    moving.write(with)?;
    let refused = moving
        .kubexm(&["add", "nodes", "-f", "config.yaml"])?
        .with(1)?;
    ensure!(
        refused
            .text
            .contains(&format!("{worker} is no member of the cluster")),
        "{}",
        refused.text
    );
    moving.delete(&[worker], &["--delete-local-data"])?;
    moving.given_back(&[worker])?;
    ensure!(
        !moving.nodes(master)?.contains(worker),
        "it came back by itself"
    );
    moving.add()?;
    moving.settled()
}

fn nodes_come_and_go(topology: Topology, kind: &str) -> Result<()> {
    let mut moving = Moving::up(6, topology, kind)?;
    let stacked = topology == Topology::Stacked;
    let etcd = |names: &'static [&'static str]| if stacked { &[][..] } else { names };
    let began = Roles {
        etcd: etcd(&["node1"]),
        master: &["node1"],
        worker: &["node4"],
    };
    moving.write(&began)?;
    moving
        .kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
        .ok()?;

    // A worker, two masters, and etcd from one member to three.
    moving.write(&Roles {
        etcd: etcd(&["node1", "node2", "node3"]),
        master: &["node1", "node2", "node3"],
        worker: &["node4", "node5"],
    })?;
    moving.add()?;
    moving.settled()?;
    a_workload(&moving, "node2")?;

    restarts(&moving)?;
    moving.delete(&["node5"], &[])?;
    moving.given_back(&["node5"])?;
    let three = Roles {
        etcd: etcd(&["node1", "node2", "node3"]),
        master: &["node1", "node2", "node3"],
        worker: &["node4"],
    };
    moving.write(&three)?;
    moving.settled()?;

    // The first of all.
    let said = moving.delete(&["node1"], &[])?;
    ensure!(
        said.text.contains("take out of config.yaml"),
        "{}",
        said.text
    );
    moving.given_back(&["node1"])?;
    moving.site.endpoint_answers("node4")?;
    let two = Roles {
        etcd: etcd(&["node2", "node3"]),
        master: &["node2", "node3"],
        worker: &["node4"],
    };
    moving.write(&two)?;
    moving.settled()?;

    what_blocks_is_named(&moving, "node2")?;
    let without = Roles { worker: &[], ..two };
    a_lost_worker_comes_back(&mut moving, "node4", "node2", &two, &without)?;
    moving.site.lab.nobody_asked_for_the_world()
}

/// The founder of etcd and of the cluster goes, as long as there is another.
#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn a_second_master_takes_the_place_of_the_first() -> Result<()> {
    let mut moving = Moving::up(5, Topology::Services, "kubexm")?;
    let roles = |masters: &'static [&'static str]| Roles {
        etcd: masters,
        master: masters,
        worker: &["node3"],
    };
    moving.write(&roles(&["node1"]))?;
    moving
        .kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
        .ok()?;
    moving.write(&roles(&["node1", "node2"]))?;
    moving.add()?;
    moving.delete(&["node1"], &[])?;
    moving.given_back(&["node1"])?;
    moving.site.endpoint_answers("node3")?;
    moving.write(&roles(&["node2"]))?;
    moving.settled()?;

    let boot = |moving: &Moving| {
        moving
            .site
            .lab
            .on("node3", "cat /proc/sys/kernel/random/boot_id")
    };
    let before = boot(&moving)?;
    moving
        .kubexm(&["restart", "nodes", "node3", "-f", "config.yaml", "--reboot"])?
        .ok()?;
    ensure!(boot(&moving)? != before, "node3 was not restarted");
    let started = moving
        .site
        .started("node2", "etcd kube-apiserver kubelet")?;
    moving
        .kubexm(&["restart", "cluster", "-f", "config.yaml"])?
        .ok()?;
    let now = moving
        .site
        .started("node2", "etcd kube-apiserver kubelet")?;
    ensure!(started != now, "not restarted: {now}");
    moving.settled()?;

    let alone = Roles {
        worker: &[],
        ..roles(&["node2"])
    };
    a_lost_worker_comes_back(&mut moving, "node3", "node2", &roles(&["node2"]), &alone)
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn nodes_come_and_go_with_kubeadm_and_stacked_etcd() -> Result<()> {
    nodes_come_and_go(Topology::Stacked, "kubeadm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn nodes_come_and_go_with_plain_binaries() -> Result<()> {
    nodes_come_and_go(Topology::Services, "kubexm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn five_members_of_etcd_become_three_and_five_again() -> Result<()> {
    let mut moving = Moving::up(6, Topology::Services, "kubexm")?;
    let five = Roles {
        etcd: &["node1", "node2", "node3", "node4", "node5"],
        master: &["node1"],
        worker: &["node2"],
    };
    let three = Roles {
        etcd: &["node1", "node2", "node3"],
        ..five
    };
    let healthy = |moving: &Moving| -> Result<usize> {
        let status = moving.kubexm(&["etcd", "status", "-f", "config.yaml"])?;
        Ok(status.ok()?.text.matches("healthy").count())
    };
    moving.write(&five)?;
    moving
        .kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
        .ok()?;
    ensure!(healthy(&moving)? == 5, "not five");
    moving.site.kubectl("create configmap kept")?;
    moving.delete(&["node4", "node5"], &[])?;
    moving.given_back(&["node4", "node5"])?;
    moving.write(&three)?;
    moving.settled()?;
    ensure!(healthy(&moving)? == 3, "not three");
    moving.write(&five)?;
    moving.add()?;
    moving.settled()?;
    ensure!(healthy(&moving)? == 5, "not five again");
    moving.site.kubectl("get configmap kept").map(drop)
}
