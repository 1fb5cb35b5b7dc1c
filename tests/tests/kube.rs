//! Real Kubernetes in the lab, where its programs are given by `KUBEXM_LAB_KUBE`. Without them there is nothing to install.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tests::lab::{Ended, Lab, run};

/// A site with a bundle, and a config that a test may change.
struct Site {
    lab: Lab,
    dir: PathBuf,
    config: String,
}

impl Site {
    /// Boots the hosts and makes the bundle; None where there is no real Kubernetes.
    fn up(nodes: usize, topology: &str, kind: &str) -> Result<Option<Self>> {
        if std::env::var_os("KUBEXM_LAB_KUBE").is_none() {
            eprintln!("skipped: KUBEXM_LAB_KUBE names no folder with real Kubernetes programs");
            return Ok(None);
        }
        let lab = Lab::up(nodes)?;
        let config = lab.lab(&["config", "key", topology, kind])?.ok()?.text;
        let dir = lab.work().to_owned();
        let site = Self { lab, dir, config };
        site.write_config()?;
        run(site
            .lab
            .connected(&site.dir, &["bundle", "-f", "config.yaml"]))?
        .ok()?;
        site.lab.lab(&["egress", "reset"])?.ok()?;
        Ok(Some(site))
    }

    fn write_config(&self) -> Result<()> {
        Ok(fs::write(self.dir.join("config.yaml"), &self.config)?)
    }

    fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    fn install(&self) -> Result<Ended> {
        self.kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?
            .ok()
    }

    fn is_green(&self) -> Result<()> {
        self.kubexm(&["check", "-f", "config.yaml"])?.ok().map(drop)
    }

    /// What a worker hears from the control plane by its endpoint.
    fn endpoint_answers(&self, node: &str) -> Result<()> {
        let ask = "kubectl --kubeconfig /etc/kubernetes/kubelet.conf --request-timeout 5s get --raw /readyz";
        let patient = format!("for i in $(seq 30); do {ask} && exit; sleep 2; done; exit 1");
        let said = self.lab.on(node, &patient)?;
        ensure!(said.contains("ok"), "{said}");
        Ok(())
    }

    /// When each of these services was started last.
    fn started(&self, node: &str, units: &str) -> Result<String> {
        let show = format!("systemctl show --property Id --property ActiveEnterTimestamp {units}");
        self.lab.on(node, &show)
    }
}

fn a_small_cluster(kind: &str) -> Result<()> {
    let Some(mut site) = Site::up(4, "small", kind)? else {
        return Ok(());
    };
    let first = site.install()?;
    site.is_green()?;
    ensure!(site.lab.egress()? == 0, "something tried to leave the site");

    let second = site.install()?;
    let unchanged = "everything is as it should be";
    ensure!(second.text.contains(unchanged), "{}", second.text);
    // A tenth is the aim, and is met where the programs take their time to travel; here they come over loopback.
    ensure!(
        second.took * 6 < first.took,
        "the second run took {:?}, the first {:?}",
        second.took,
        first.took
    );

    let before = site.started("node1", "etcd containerd")?;
    let gate = "  kubernetes:\n    featureGates: {CPUManagerPolicyAlphaOptions: true}\n";
    site.config = site.config.replace("  kubernetes:\n", gate);
    site.write_config()?;
    site.install()?;
    let after = site.started("node1", "etcd containerd")?;
    ensure!(before == after, "restarted:\n{before}\n{after}");
    let kubelet = site.lab.on("node2", "cat /etc/kubernetes/kubelet.yaml")?;
    ensure!(
        kubelet.contains("CPUManagerPolicyAlphaOptions"),
        "{kubelet}"
    );
    site.is_green()?;

    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    site.kubexm(&delete)?.ok()?;
    site.install()?;
    site.is_green()
}

fn a_cluster_with_spares(kind: &str) -> Result<()> {
    let Some(site) = Site::up(8, "ha", kind)? else {
        return Ok(());
    };
    site.install()?;
    site.is_green()?;
    site.endpoint_answers("node4")?;
    // The first load balancer, then the first master: whatever was set up first must not be needed for ever.
    site.lab.lab(&["node-kill", "node6"])?.ok()?;
    site.endpoint_answers("node4")?;
    site.lab.lab(&["node-kill", "node1"])?.ok()?;
    site.endpoint_answers("node5")
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn kubeadm_makes_a_small_cluster() -> Result<()> {
    a_small_cluster("kubeadm")
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn plain_binaries_make_a_small_cluster() -> Result<()> {
    a_small_cluster("kubexm")
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn kubeadm_makes_a_cluster_that_bears_the_loss_of_a_master_and_a_balancer() -> Result<()> {
    a_cluster_with_spares("kubeadm")
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn plain_binaries_make_a_cluster_that_bears_the_loss_of_a_master_and_a_balancer() -> Result<()> {
    a_cluster_with_spares("kubexm")
}
