//! What `delete cluster` leaves behind in the lab: nothing. Run by `make e2e`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, kill_after, run};
use tests::snapshot::Snapshot;

/// The last is the registry.
const NODES: [&str; 3] = ["node1", "node2", "node3"];

const ETCDCTL: &str = "ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt \
     --cert=/etc/etcd/pki/healthcheck-client.crt --key=/etc/etcd/pki/healthcheck-client.key";

struct Site {
    lab: Lab,
    dir: PathBuf,
}

impl Site {
    fn up() -> Result<Self> {
        let lab = Lab::up(NODES.len())?;
        let dir = lab.work().to_owned();
        fs::write(dir.join("config.yaml"), lab.config()?)?;
        run(lab.connected(&dir, &["bundle", "-f", "config.yaml"]))?.ok()?;
        Ok(Self { lab, dir })
    }

    fn install(&self) -> Result<Ended> {
        let arguments = ["lab.tar.zst", "-f", "config.yaml", "--until", "images"];
        run(self
            .lab
            .inside(&self.dir, &[&["install"], &arguments[..]].concat()))?
        .ok()
        .context("install")
    }

    fn delete(&self, arguments: &[&str]) -> std::process::Command {
        let delete = ["delete", "cluster", "-f", "config.yaml"];
        self.lab.inside(&self.dir, &[&delete, arguments].concat())
    }

    fn look(&self) -> Result<Snapshot> {
        Snapshot::of(&self.lab, &NODES)
    }

    fn certificates(&self) -> usize {
        let certs = self.dir.join(".kubexm/lab/certs");
        fs::read_dir(certs).map_or(0, Iterator::count)
    }
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn hosts_are_left_as_they_were_found() -> Result<()> {
    let site = Site::up()?;
    something_of_their_own(&site.lab)?;
    let bare = site.look()?;

    site.install()?;
    ensure!(
        bare.changes_to(&site.look()?).len() > 100,
        "the snapshot does not see an installation"
    );
    site.lab.on("node1", &format!("{ETCDCTL} put kept yes"))?;
    a_container_runs(&site.lab)?;
    nothing_happens_unasked(&site)?;

    data_stays_for_the_next_installation(&site, &bare)?;
    a_purge_that_was_killed_goes_on(&site, &bare)?;

    site.install().context("on hosts that were left")?;
    run(site.delete(&["--yes", "--purge"]))?.ok()?;
    are_the_same(&bare, &site.look()?)?;
    let again = run(site.delete(&["--yes", "--purge"]))?.ok()?;
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    kubernetes_of_others_stays(&site)
}

fn are_the_same(before: &Snapshot, after: &Snapshot) -> Result<()> {
    let changes = before.changes_to(after);
    ensure!(changes.is_empty(), "what is left:\n{}", changes.join("\n"));
    Ok(())
}

/// Files where kubexm will put its own, a directory with another mode, a parameter, lines of the hosts file.
fn something_of_their_own(lab: &Lab) -> Result<()> {
    let theirs = "echo 'timeout: 3' > /etc/crictl.yaml && chmod 640 /etc/crictl.yaml && \
         mkdir -p /etc/cni/net.d && chmod 711 /etc/cni/net.d && \
         printf '#!/bin/sh\\n' > /usr/local/bin/crictl && chmod 755 /usr/local/bin/crictl && \
         printf '10.9.9.9 printer' >> /etc/hosts && echo 0 > /proc/sys/net/ipv4/ip_forward";
    for node in NODES {
        lab.on(node, theirs)?;
    }
    Ok(())
}

fn a_container_runs(lab: &Lab) -> Result<()> {
    let image = "docker.io/library/busybox:1.37";
    lab.on(
        "node1",
        &format!(
            "ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d {image} >/dev/null && \
             ctr -n k8s.io run --detach {image} sleeper sleep 10000"
        ),
    )?;
    let tasks = lab.on("node1", "ctr -n k8s.io tasks ls")?;
    ensure!(tasks.contains("RUNNING"), "{tasks}");
    Ok(())
}

fn nothing_happens_unasked(site: &Site) -> Result<()> {
    let before = site.look()?;
    run(site.delete(&[]))?.with(2)?;
    let dry = run(site.delete(&["--dry-run", "--purge"]))?.ok()?;
    ensure!(
        dry.text.contains("stop etcd.service: needed"),
        "{}",
        dry.text
    );
    are_the_same(&before, &site.look()?)
}

/// Somebody has set up Kubernetes on hosts that bear no mark: it is not looked at.
fn kubernetes_of_others_stays(site: &Site) -> Result<()> {
    let theirs = "/etc/kubernetes/manifests/theirs.yaml /var/lib/kubelet/config.yaml \
         /var/lib/cni/networks/theirs/10.9.0.2 /usr/local/bin/kubectl-calico";
    for node in NODES {
        let put = format!(
            "for file in {theirs}; do mkdir -p \"${{file%/*}}\" && echo theirs > \"$file\"; done; \
             ip link add cni0 type bridge"
        );
        site.lab.on(node, &put)?;
    }
    let before = site.look()?;
    let removed = run(site.delete(&["--yes", "--purge"]))?.ok()?;
    ensure!(
        removed.text.contains("everything is as it should be"),
        "{}",
        removed.text
    );
    are_the_same(&before, &site.look()?)?;
    for node in NODES {
        let said = site.lab.on(node, &format!("cat {theirs}"))?;
        ensure!(said.matches("theirs").count() == 4, "{node}: {said}");
    }
    Ok(())
}

fn data_stays_for_the_next_installation(site: &Site, bare: &Snapshot) -> Result<()> {
    run(site.delete(&["--yes"]))?.ok()?;
    let kept = [
        "/lib/etcd",
        "/lib/containerd",
        "/lib/registry",
        "/lib/kubexm",
        "/mnt/registry",
    ];
    let owners = [
        "content: etc/passwd",
        "content: etc/group",
        "content: etc/shadow",
        "content: etc/gshadow",
    ];
    let unexplained: Vec<String> = bare
        .changes_to(&site.look()?)
        .into_iter()
        .filter(|change| {
            let mut explained = kept.iter().chain(owners.iter());
            !explained.any(|part| change.contains(*part))
        })
        .collect();
    ensure!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    ensure!(site.certificates() > 0, "the certificates are gone");
    site.install().context("on the data that stayed")?;
    let kept = site.lab.on("node1", &format!("{ETCDCTL} get kept"))?;
    ensure!(kept.contains("yes"), "etcd has forgotten: {kept}");
    Ok(())
}

fn a_purge_that_was_killed_goes_on(site: &Site, bare: &Snapshot) -> Result<()> {
    for moment in [500, 1000, 1500].map(Duration::from_millis) {
        kill_after(site.delete(&["--yes", "--purge"]), moment)?;
    }
    run(site.delete(&["--yes", "--purge"]))?.ok()?;
    are_the_same(bare, &site.look()?)?;
    ensure!(site.certificates() == 0, "certificates are left");
    Ok(())
}
