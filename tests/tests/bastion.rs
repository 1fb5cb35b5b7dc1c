//! A site where the operator reaches one jump host and nothing else. Run by `make e2e`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, run};

/// The jump host is no node of the cluster; the last is the registry.
const BASTION: &str = "node1";
const NODES: [&str; 3] = ["node2", "node3", "node4"];

#[test]
#[ignore = "needs the lab: make e2e"]
fn a_jump_host_is_the_only_way_in() -> Result<()> {
    let lab = Lab::up(NODES.len() + 1)?;
    let dir = lab.work().to_owned();
    fs::write(dir.join("config.yaml"), behind(&lab.config()?)?)?;
    run(lab.connected(&dir, &["bundle", "-f", "config.yaml"]))?.ok()?;
    close_other_ways(&lab)?;

    install(&lab, &dir).context("install")?;
    let second = install(&lab, &dir).context("the second run")?;
    ensure!(
        second.text.contains("everything is as it should be"),
        "{}",
        second.text
    );
    open_other_ways(&lab)?;
    // The images came through as well.
    let image = "docker.io/library/busybox:1.37";
    let pull = format!("ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d {image}");
    lab.on("node3", &pull)?;

    close_other_ways(&lab)?;
    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    run(lab.inside(&dir, &delete))?.ok().context("delete")?;
    lab.nobody_asked_for_the_world()?;
    Ok(())
}

fn install(lab: &Lab, dir: &Path) -> Result<Ended> {
    let arguments = [
        "install",
        "lab.tar.zst",
        "-f",
        "config.yaml",
        "--until",
        "images",
    ];
    run(lab.inside(dir, &arguments))?.ok()
}

/// The lab's config with its first host taken out of the cluster and put in front of it.
fn behind(config: &str) -> Result<String> {
    let (host, others): (Vec<&str>, Vec<&str>) = config.lines().partition(|line| {
        line.trim_start()
            .starts_with(&format!("- {{name: {BASTION},"))
    });
    let host = host.first().context("the lab's config has no such host")?;
    let (_, address) = host.split_once("address: ").context("no address")?;
    let (address, rest) = address.split_once(',').context("no address")?;
    let (_, login) = rest.split_once("user: ").context("no user")?;
    let others: Vec<String> = others.iter().map(|line| without(line)).collect();
    let bastion = format!("spec:\n  bastion: {{address: {address}, user: {login}");
    Ok(others.join("\n").replacen("spec:", &bastion, 1) + "\n")
}

/// A line of role groups without the jump host; a master must be there all the same.
fn without(line: &str) -> String {
    match line.trim() {
        "master: [node1]" => line.replace(BASTION, NODES[0]),
        _ => line.replace(&format!("{BASTION}, "), ""),
    }
}

/// Closes every way from the operator's machine to the nodes.
fn close_other_ways(lab: &Lab) -> Result<()> {
    let rules = "table inet bastion { chain out { type filter hook output priority 10; \
         ip daddr 172.30.0.0/24 ip daddr != { 172.30.0.1, 172.30.0.11 } reject; \
         ip6 daddr fd6b:7562:6578::/64 reject; }; }";
    lab.lab(&["enter", "nft", rules])?.ok()?;
    for node in NODES {
        let straight = lab.lab(&["ssh", node, "true"])?;
        ensure!(straight.code != Some(0), "{node} is reached straight");
    }
    Ok(())
}

fn open_other_ways(lab: &Lab) -> Result<()> {
    lab.lab(&["enter", "nft", "delete table inet bastion"])?
        .ok()?;
    Ok(())
}
