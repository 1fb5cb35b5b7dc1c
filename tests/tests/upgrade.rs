//! From one real Kubernetes to a later one, in the lab. `KUBEXM_LAB_KUBE` names the folders of two, the older first.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::lab::{kill_after, run};
use tests::load::{Client, node_ports, serve};
use tests::upgrade::{Shape, Site};

/// Three nodes and the registry: the whole way, cut short once, under a client's eyes.
fn a_small_cluster_goes_on(kind: &str) -> Result<()> {
    let site = Site::up(4, Shape::Small, kind)?;
    let refused = site.kubexm(&["install", "upgrade.tar.zst", "-f", "config.yaml"])?;
    let refused = refused.with(1)?;
    ensure!(
        refused.text.contains("kubexm upgrade cluster"),
        "{}",
        refused.text
    );
    serve(&site.lab)?;
    // Somebody else's cordon stays.
    site.kubectl("cordon node3")?;
    let dry = run(site.upgrading(&["--dry-run"]))?.ok()?;
    ensure!(
        dry.text.contains(&format!("-> {}", site.to)),
        "{}",
        dry.text
    );
    ensure!(
        site.nodes()?.matches(&site.from).count() == 3,
        "a dry run changes nothing"
    );

    let ports = node_ports(&["172.30.0.11", "172.30.0.12", "172.30.0.13"]);
    let client = Client::begin(&site.lab, "client", &ports)?;
    let began = std::time::Instant::now();
    let killed = kill_after(site.upgrading(&["--yes"]), Duration::from_secs(50))?;
    ensure!(killed, "it was over before it was killed");
    let ended = run(site.upgrading(&["--yes"]))?.ok()?;
    let took = began.elapsed();
    let (asked, failed) = client.end()?;
    for line in site.around(&failed)? {
        println!("{line}");
    }
    println!(
        "{kind}: {} -> {} took {took:?} with a kill, the second run {:?}; {} of {asked} requests failed: {failed:?}",
        site.from,
        site.to,
        ended.took,
        failed.len()
    );
    site.is_new()?;
    let nodes = site.nodes()?;
    let cordoned: Vec<&str> = nodes
        .lines()
        .filter(|line| line.ends_with("true"))
        .collect();
    ensure!(
        cordoned.len() == 1 && cordoned[0].starts_with("node3"),
        "{nodes}"
    );
    let snapshots = fs::read_dir(site.dir.join(".kubexm/lab/backups"))?;
    let snapshots = snapshots.count();
    // The run that was killed may have had nothing but its snapshot.
    ensure!(
        snapshots == 2 || snapshots == 4,
        "a snapshot and its note of each run that has found nothing new: {snapshots} files"
    );
    site.is_at_rest()?;
    site.lab.nobody_asked_for_the_world()?;
    ensure!(failed.is_empty(), "requests failed: {failed:?}");
    Ok(())
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn plain_binaries_are_upgraded_under_load() -> Result<()> {
    a_small_cluster_goes_on("kubexm")
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn kubeadm_upgrades_under_load() -> Result<()> {
    a_small_cluster_goes_on("kubeadm")
}

/// Three nodes and the registry: the control plane, then a worker, which goes back and forth again; then the rest.
fn a_part_at_a_time(kind: &str) -> Result<()> {
    let site = Site::up(4, Shape::Small, kind)?;
    let (from, to) = (&site.from, &site.to);
    let are = |wanted: [&str; 3]| -> Result<()> {
        let nodes = site.nodes()?;
        for (node, version) in ["node1", "node2", "node3"].iter().zip(wanted) {
            let mut lines = nodes.lines();
            let line = lines
                .find(|line| line.starts_with(node))
                .unwrap_or_default();
            ensure!(
                line.contains(version) && !line.ends_with("true"),
                "{node} is not {version}:\n{nodes}"
            );
        }
        Ok(())
    };
    let early = run(site.upgrading(&["--yes", "--only", "node2"]))?.with(1)?;
    ensure!(
        early.text.contains("--only control-plane comes first"),
        "{}",
        early.text
    );
    let plane = run(site.upgrading(&["--yes", "--only", "control-plane"]))?.ok()?;
    are([to, from, from])?;
    let again = run(site.upgrading(&["--yes", "--only", "control-plane"]))?.ok()?;
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    let worker = run(site.upgrading(&["--yes", "--only", "node2"]))?.ok()?;
    are([to, to, from])?;
    let back = [
        "upgrade",
        "cluster",
        "old.tar.zst",
        "-f",
        "config.yaml",
        "--yes",
        "--rollback",
    ];
    let master = site.kubexm(&[&back[..], &["node1"]].concat())?.with(1)?;
    ensure!(
        master.text.contains("node1 cannot go back"),
        "{}",
        master.text
    );
    let back = site.kubexm(&[&back[..], &["node2"]].concat())?.ok()?;
    are([to, from, from])?;
    let rest = run(site.upgrading(&["--yes"]))?.ok()?;
    site.is_new()?;
    println!(
        "{kind}: {from} -> {to}: the control plane took {:?}, a worker {:?}, back {:?}, the rest {:?}",
        plane.took, worker.took, back.took, rest.took
    );
    site.lab.nobody_asked_for_the_world()
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn plain_binaries_are_upgraded_a_part_at_a_time() -> Result<()> {
    a_part_at_a_time("kubexm")
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn kubeadm_upgrades_a_part_at_a_time() -> Result<()> {
    a_part_at_a_time("kubeadm")
}
