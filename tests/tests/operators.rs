//! Several operators, and one who has lost the work directory, with real Kubernetes in the lab. `KUBEXM_LAB_KUBE` gives its
//! programs; without them `make e2e` leaves these tests out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, kill_after, run};
use tests::snapshot::Snapshot;

/// The last is the registry.
const NODES: [&str; 2] = ["node1", "node2"];
const UNCHANGED: &str = "everything is as it should be";

/// A site with a bundle, and a config that a test may change.
struct Site {
    lab: Lab,
    bundle: String,
    config: String,
}

impl Site {
    fn up(kind: &str) -> Result<Self> {
        ensure!(
            std::env::var_os("KUBEXM_LAB_KUBE").is_some(),
            "KUBEXM_LAB_KUBE names no folder with real Kubernetes programs"
        );
        let lab = Lab::up(NODES.len())?;
        let config = lab.lab(&["config", "key", "small", kind])?.ok()?.text;
        let bundle = lab.work().join("lab.tar.zst");
        let site = Self {
            bundle: bundle.to_string_lossy().into_owned(),
            lab,
            config,
        };
        let dir = site.operator("first")?;
        let output = ["bundle", "-f", "config.yaml", "-o", &site.bundle];
        run(site.lab.connected(&dir, &output))?.ok()?;
        fs::remove_dir_all(dir.join(".kubexm"))?;
        Ok(site)
    }

    /// A work directory with the config.
    fn operator(&self, name: &str) -> Result<PathBuf> {
        let dir = self.lab.work().join(name);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("config.yaml"), &self.config)?;
        Ok(dir)
    }

    fn kubexm(&self, dir: &Path, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(dir, arguments))
    }

    fn install(&self, dir: &Path, more: &[&str]) -> Result<Ended> {
        let install = ["install", &self.bundle, "-f", "config.yaml"];
        self.kubexm(dir, &[&install, more].concat())
    }

    /// Kills an install while it is at work.
    fn killed(&self, dir: &Path) -> Result<()> {
        let install = ["install", &self.bundle, "-f", "config.yaml"];
        for millis in [1500, 2500, 4000, 6000] {
            let was_running = kill_after(
                self.lab.inside(dir, &install),
                Duration::from_millis(millis),
            )?;
            let left = self.lab.on("node1", "ls /run/kubexm.lease; true")?;
            if was_running && left.contains("/run/kubexm.lease") {
                return Ok(());
            }
        }
        anyhow::bail!("no install could be killed while it held the lease")
    }
}

fn a_site_changes_hands(kind: &str) -> Result<()> {
    let mut site = Site::up(kind)?;
    let bare = Snapshot::of(&site.lab, &NODES)?;
    let first = site.operator("first")?;
    site.install(&first, &[])?.ok()?;
    let lease = site.lab.on("node1", "ls /run/kubexm.lease; true")?;
    ensure!(lease.contains("No such file"), "a lease is left: {lease}");
    let again = site.install(&first, &[])?.ok()?;
    ensure!(again.text.contains(UNCHANGED), "{}", again.text);
    hosts_tell_what_they_carry(&site, &first)?;

    let second = site.operator("second")?;
    a_lost_work_directory_comes_back(&site, &second)?;
    one_works_at_a_time(&site, &first, &second)?;
    a_registry_that_moves_leaves_its_host(&mut site)?;

    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    site.kubexm(&second, &delete)?.ok()?;
    let left = bare.changes_to(&Snapshot::of(&site.lab, &NODES)?);
    ensure!(left.is_empty(), "what is left:\n{}", left.join("\n"));
    ensure!(
        !second.join(".kubexm/lab/applied/config.yaml").exists(),
        "what was applied is still noted"
    );
    Ok(())
}

fn hosts_tell_what_they_carry(site: &Site, dir: &Path) -> Result<()> {
    let told = site
        .kubexm(dir, &["get", "hosts", "-f", "config.yaml"])?
        .ok()?
        .text;
    for part in [
        "node1",
        "kubelet",
        "containerd",
        "etcd",
        "kube-apiserver",
        "registry",
        "Debian",
    ] {
        ensure!(told.contains(part), "{part} is not told:\n{told}");
    }
    let json = ["get", "hosts", "-f", "config.yaml", "--output", "json"];
    let json = site.kubexm(dir, &json)?.ok()?.text;
    ensure!(json.contains(r#""cluster":"lab""#), "{json}");
    println!("{told}");
    Ok(())
}

fn a_lost_work_directory_comes_back(site: &Site, dir: &Path) -> Result<()> {
    let refused = site.install(dir, &[])?.with(1)?;
    ensure!(refused.text.contains("kubexm adopt"), "{}", refused.text);
    let adopted = site.kubexm(dir, &["adopt", "-f", "config.yaml"])?.ok()?;
    println!("{}", adopted.text);
    let tree = dir.join(".kubexm/lab");
    let applied = fs::read_to_string(tree.join("applied/config.yaml"))?;
    ensure!(applied.contains("name: lab"), "{applied}");
    for key in [
        "certs/kubernetes/ca.key",
        "certs/kubernetes/sa.key",
        "certs/registry/credentials.json",
        "certs/registry/ca.key",
        "certs/etcd/ca.key",
        "certs/kubernetes/front-proxy-ca.key",
    ] {
        let mode = fs::metadata(tree.join(key))
            .with_context(|| key.to_owned())?
            .permissions()
            .mode();
        ensure!(
            mode.trailing_zeros() >= 6,
            "{key} is open to others: {mode:o}"
        );
    }
    let again = site.kubexm(dir, &["adopt", "-f", "config.yaml"])?.ok()?;
    ensure!(again.text.contains(UNCHANGED), "{}", again.text);
    // Programs are taken out of their archives once more, and that is all.
    let install = site.install(dir, &[])?.ok()?;
    let changed = |line: &&str| line.contains(" changed (") && !line.starts_with("done: ");
    let elsewhere = |line: &&str| !line.starts_with("prepare (operator): unpack");
    let text = &install.text;
    let strays: Vec<&str> = text.lines().filter(changed).filter(elsewhere).collect();
    ensure!(strays.is_empty(), "{text}");
    Ok(())
}

fn one_works_at_a_time(site: &Site, first: &Path, second: &Path) -> Result<()> {
    site.killed(first)?;
    let refused = site.install(second, &["--break-lease"])?.with(1)?;
    ensure!(
        refused
            .text
            .contains("another kubexm works on this cluster: install by"),
        "{}",
        refused.text
    );
    site.kubexm(second, &["get", "nodes", "-f", "config.yaml"])?
        .ok()?;
    site.install(first, &[])?
        .ok()
        .context("of the one that was killed")?;

    site.killed(first)?;
    site.lab.on(
        "node1",
        "sed -i 's/^renewed: .*/renewed: 0/' /run/kubexm.lease",
    )?;
    let told = site.install(second, &[])?.with(1)?;
    ensure!(
        told.text
            .contains("another run on this cluster has not ended"),
        "{}",
        told.text
    );
    ensure!(told.text.contains("--break-lease"), "{}", told.text);
    site.install(second, &["--break-lease"])?.ok().map(drop)
}

fn a_registry_that_moves_leaves_its_host(site: &mut Site) -> Result<()> {
    site.config = site
        .config
        .replace("registry: [node2]", "registry: [node1]");
    // By whoever has the key that signs its certificate from the masters alone.
    let dir = site.operator("second")?;
    let dry = site.install(&dir, &["--dry-run"])?.ok()?;
    ensure!(dry.text.contains("retire/registry"), "{}", dry.text);
    site.install(&dir, &[])?.ok()?;
    let units = site.lab.on(
        "node2",
        "systemctl is-active kubexm-registry; ls /etc/kubexm-registry; true",
    )?;
    ensure!(
        units.contains("inactive") && units.contains("No such file"),
        "{units}"
    );
    site.kubexm(&dir, &["check", "-f", "config.yaml"])?.ok()?;
    let again = site.install(&dir, &[])?.ok()?;
    ensure!(again.text.contains(UNCHANGED), "{}", again.text);
    Ok(())
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn a_site_of_plain_binaries_changes_hands() -> Result<()> {
    a_site_changes_hands("kubexm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn a_site_of_kubeadm_changes_hands() -> Result<()> {
    a_site_changes_hands("kubeadm")
}
