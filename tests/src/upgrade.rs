//! A site that goes from one real Kubernetes to a later one, in the lab.
//!
//! `KUBEXM_LAB_KUBE` names a folder for each version on the way, the oldest first. The same sources with another version stamp
//! will do: what a hop changes by its programs alone is then not tried, and what kubexm and kubeadm do by the version is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use crate::kube::stacked;
use crate::lab::{Ended, Lab, run};

/// A site with a cluster of the oldest version, and a bundle that leads to the latest.
pub struct Site {
    pub lab: Lab,
    pub dir: PathBuf,
    pub from: String,
    pub to: String,
    /// All of them, in order.
    pub versions: Vec<String>,
}

/// Who is what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One master, workers, the registry.
    Small,
    /// Three masters, workers, two load balancers, the registry.
    Spares,
    /// Three masters with members of kubeadm's etcd, which are of 3.5 in the oldest version, a worker, the registry.
    Stacked,
}

impl Shape {
    const fn of_lab(self) -> &'static str {
        match self {
            Self::Small | Self::Stacked => "small",
            Self::Spares => "ha",
        }
    }
}

/// The version of a folder.
fn version(folder: &str) -> Result<String> {
    let text = fs::read_to_string(format!("{folder}/VERSION"));
    Ok(text.with_context(|| folder.to_owned())?.trim().to_owned())
}

/// That of each folder.
fn versions() -> Result<Vec<String>> {
    let folders = std::env::var("KUBEXM_LAB_KUBE").unwrap_or_default();
    folders.split(':').map(version).collect()
}

impl Site {
    /// Installs the oldest version, and makes the bundle.
    pub fn up(nodes: usize, shape: Shape, kind: &str) -> Result<Self> {
        let versions = versions()?;
        let (Some(from), Some(to)) = (versions.first(), versions.last()) else {
            anyhow::bail!("KUBEXM_LAB_KUBE names no folders with real Kubernetes programs");
        };
        ensure!(
            from != to,
            "KUBEXM_LAB_KUBE names no two folders with real Kubernetes programs"
        );
        let (from, to) = (from.clone(), to.clone());
        let lab = Lab::up(nodes)?;
        let config = lab
            .lab(&["config", "key", shape.of_lab(), kind])?
            .ok()?
            .text;
        // Of these the lab has one version that is real.
        let named = "  versions:\n    coredns: v1.14.2\n    crictl: v1.36.0\n";
        let config = config.replacen("  versions:\n", named, 1);
        let config = match shape {
            Shape::Small | Shape::Spares => config,
            Shape::Stacked => stacked(&config)?,
        };
        let dir = lab.work().to_owned();
        let older = config
            .replace(&format!("version: {to}"), &format!("version: {from}"))
            .replace(
                "etcd: {type: kubeadm}",
                "etcd: {type: kubeadm, version: v3.5.24}",
            );
        ensure!(older != config, "{to} is not in the config:\n{config}");
        fs::write(dir.join("old.yaml"), older)?;
        fs::write(dir.join("config.yaml"), config)?;
        let site = Self {
            lab,
            dir,
            from,
            to,
            versions,
        };
        site.bundle(&["-f", "old.yaml", "-o", "old.tar.zst"])?;
        site.kubexm(&["install", "old.tar.zst", "-f", "old.yaml"])?
            .ok()?;
        let from = site.from.clone();
        let upgrade = ["-f", "config.yaml", "--upgrade-from", &from];
        site.bundle(&[&upgrade[..], &["-o", "upgrade.tar.zst"]].concat())?;
        site.lab.lab(&["egress", "reset"])?.ok()?;
        Ok(site)
    }

    fn bundle(&self, arguments: &[&str]) -> Result<()> {
        // Each has a lock of its own: the one drops what the other has pinned.
        let _ = fs::remove_file(self.dir.join("kubexm.lock"));
        let bundle = [&["bundle"], arguments].concat();
        run(self.lab.connected(&self.dir, &bundle))?.ok().map(drop)
    }

    pub fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    #[must_use]
    pub fn upgrading(&self, arguments: &[&str]) -> Command {
        let upgrade = ["upgrade", "cluster", "upgrade.tar.zst", "-f", "config.yaml"];
        self.lab.inside(&self.dir, &[&upgrade, arguments].concat())
    }

    pub fn kubectl(&self, arguments: &str) -> Result<String> {
        let kubectl =
            "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";
        self.lab.on("node1", &format!("{kubectl} {arguments}"))
    }

    /// Of every node: name, version, whether it takes pods.
    pub fn nodes(&self) -> Result<String> {
        self.kubectl(
            "get nodes --no-headers --output custom-columns=\
             N:.metadata.name,V:.status.nodeInfo.kubeletVersion,U:.spec.unschedulable",
        )
    }

    pub fn is_new(&self) -> Result<()> {
        let nodes = self.nodes()?;
        let (to, from) = (&self.to, &self.from);
        ensure!(nodes.contains(to) && !nodes.contains(from), "{nodes}");
        let server = self.kubectl("version")?;
        ensure!(
            server.contains(&format!("Server Version: {to}")),
            "{server}"
        );
        self.kubexm(&["check", "-f", "config.yaml"])?.ok().map(drop)
    }

    /// Neither an upgrade nor an install has anything to do.
    pub fn is_at_rest(&self) -> Result<()> {
        let again = run(self.upgrading(&["--yes"]))?.ok()?;
        println!("a run with nothing to do took {:?}", again.took);
        let installed = self.kubexm(&["install", "upgrade.tar.zst", "-f", "config.yaml"])?;
        for ended in [again, installed.ok()?] {
            ensure!(
                ended.text.contains("everything is as it should be"),
                "{}",
                ended.text
            );
        }
        Ok(())
    }

    /// What the journal and the cluster tell of the moments at which requests failed.
    pub fn around(&self, failed: &[String]) -> Result<Vec<String>> {
        let time = |line: &String| {
            let mut words = line.split(' ');
            words.find_map(|word| format!("{word}Z").parse::<Timestamp>().ok())
        };
        let times: Vec<Timestamp> = failed.iter().filter_map(time).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(Vec::new());
        };
        let near = *first - SignedDuration::from_secs(15)..*last + SignedDuration::from_secs(5);
        let journal = fs::read_to_string(self.dir.join(".kubexm/lab/state/journal.jsonl"))?;
        let events = self.kubectl(
            "get events --all-namespaces --no-headers --output custom-columns=\
             T:.metadata.creationTimestamp,K:.involvedObject.kind,N:.involvedObject.name,M:.message",
        )?;
        let at = |line: &str| {
            let time = line.split_once("\"at\":\"").map_or(line, |(_, rest)| rest);
            let end = time.find('Z')?;
            time[..=end].parse::<Timestamp>().ok()
        };
        let mut lines: Vec<(Timestamp, &str)> = journal
            .lines()
            .chain(events.lines())
            .filter_map(|line| Some((at(line)?, line)))
            .filter(|(at, _)| near.contains(at))
            .collect();
        lines.sort_unstable();
        Ok(lines
            .iter()
            .map(|(at, line)| format!("{at} {line}"))
            .collect())
    }
}
