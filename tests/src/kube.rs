//! A site with real Kubernetes in the lab.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::lab::{Ended, Lab, run};

/// A site with a bundle, and a config that a test may change.
pub struct Site {
    pub lab: Lab,
    dir: PathBuf,
    pub config: String,
}

/// Which hosts have which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    Small,
    Ha,
    Stacked,
    /// As stacked, and etcd is a service of the masters.
    Services,
}

impl Site {
    /// Boots the hosts and makes the bundle.
    pub fn up(nodes: usize, topology: Topology, kind: &str) -> Result<Self> {
        Self::of(nodes, topology, kind, |config| Ok(config.to_owned()))
    }

    /// The same with a config that is another from the beginning.
    pub fn of(
        nodes: usize,
        topology: Topology,
        kind: &str,
        change: impl Fn(&str) -> Result<String>,
    ) -> Result<Self> {
        ensure!(
            std::env::var_os("KUBEXM_LAB_KUBE").is_some(),
            "KUBEXM_LAB_KUBE names no folder with real Kubernetes programs"
        );
        let lab = Lab::up(nodes)?;
        let of_lab = match topology {
            Topology::Small | Topology::Stacked | Topology::Services => "small",
            Topology::Ha => "ha",
        };
        let config = lab.lab(&["config", "key", of_lab, kind])?.ok()?.text;
        let config = match topology {
            Topology::Small | Topology::Ha => config,
            Topology::Stacked => stacked(&config)?,
            Topology::Services => services(&config)?,
        };
        let dir = lab.work().to_owned();
        let config = change(&config)?;
        let site = Self { lab, dir, config };
        site.bundle()?;
        site.lab.lab(&["egress", "reset"])?.ok()?;
        Ok(site)
    }

    /// Makes the bundle of the config as it is now.
    pub fn bundle(&self) -> Result<()> {
        self.write_config()?;
        let bundle = ["bundle", "-f", "config.yaml"];
        run(self.lab.connected(&self.dir, &bundle))?.ok().map(drop)
    }

    pub fn write_config(&self) -> Result<()> {
        Ok(fs::write(self.dir.join("config.yaml"), &self.config)?)
    }

    pub fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    pub fn install(&self) -> Result<Ended> {
        self.kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
            .ok()
    }

    pub fn is_green(&self) -> Result<()> {
        self.kubexm(&["check", "-f", "config.yaml"])?.ok().map(drop)
    }

    pub fn delete(&self, arguments: &[&str]) -> Result<Ended> {
        let delete = ["delete", "cluster", "-f", "config.yaml", "--yes"];
        self.kubexm(&[&delete, arguments].concat())?.ok()
    }

    /// `kubectl ARGUMENTS` as the administrator, on the first master.
    pub fn kubectl(&self, arguments: &str) -> Result<String> {
        self.kubectl_on("node1", arguments)
    }

    /// The same on another master.
    pub fn kubectl_on(&self, master: &str, arguments: &str) -> Result<String> {
        // What it remembers must not be taken for something that kubexm has left.
        let kubectl =
            "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";
        self.lab.on(master, &format!("{kubectl} {arguments}"))
    }

    /// What a worker hears from the control plane by its endpoint.
    pub fn endpoint_answers(&self, node: &str) -> Result<()> {
        let ask = "kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout 5s get --raw /readyz";
        let patient = format!("for i in $(seq 30); do {ask} && exit; sleep 2; done; exit 1");
        let said = self.lab.on(node, &patient)?;
        ensure!(said.contains("ok"), "{said}");
        Ok(())
    }

    /// When each of these services was started last.
    pub fn started(&self, node: &str, units: &str) -> Result<String> {
        let show = format!("systemctl show --property Id --property ActiveEnterTimestamp {units}");
        self.lab.on(node, &show)
    }
}

/// Three masters with kubeadm's own etcd, and a worker that reaches them through nginx in a pod of its own.
pub(crate) fn stacked(config: &str) -> Result<String> {
    let (head, rest) = config
        .split_once("  roleGroups:\n")
        .context("a config has roles")?;
    let rest: String = rest
        .lines()
        .skip_while(|line| line.starts_with("    "))
        .fold(String::new(), |text, line| text + line + "\n");
    let (before, etcd) = rest
        .split_once("  etcd:\n")
        .context("a config has an etcd")?;
    let (_, after) = etcd.split_once('\n').context("an etcd has a version")?;
    Ok(format!(
        "{head}  roleGroups:
    master: [node1, node2, node3]
    worker: [node4]
    registry: [node5]
  controlPlaneEndpoint: {{internalLoadbalancer: nginx}}
{before}  etcd: {{type: kubeadm}}
{after}"
    ))
}

/// Three masters that are members of an etcd of its own, and a worker that reaches them through nginx in a pod of its own.
fn services(config: &str) -> Result<String> {
    let (_, etcd) = config
        .split_once("  etcd:\n")
        .context("a config has an etcd")?;
    let version = etcd.lines().next().context("an etcd has a version")?;
    let stacked = stacked(config)?;
    Ok(stacked
        .replace(
            "  etcd: {type: kubeadm}\n",
            &format!("  etcd:\n{version}\n"),
        )
        .replace(
            "  roleGroups:\n",
            "  roleGroups:\n    etcd: [node1, node2, node3]\n",
        ))
}
