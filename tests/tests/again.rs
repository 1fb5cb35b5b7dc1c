//! A site whose hosts and work directory are lost, made again from a backup and the keys beside it, by what docs/etcd.md says.
//! `KUBEXM_LAB_KUBE` gives the programs; without them `make e2e` leaves this test out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, run};

const NODES: usize = 2;
const UNCHANGED: &str = "everything is as it should be";
const KUBECTL: &str =
    "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";

struct Site {
    lab: Lab,
    bundle: String,
    /// Of the one who keeps the keys.
    identity: PathBuf,
}

impl Site {
    fn up() -> Result<Self> {
        ensure!(
            std::env::var_os("KUBEXM_LAB_KUBE").is_some(),
            "KUBEXM_LAB_KUBE names no folder with real Kubernetes programs"
        );
        let lab = Lab::up(NODES)?;
        let site = Self {
            bundle: lab
                .work()
                .join("lab.tar.zst")
                .to_string_lossy()
                .into_owned(),
            identity: lab.work().join("keeper"),
            lab,
        };
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&site.identity)
            .status()?;
        ensure!(made.success(), "no key was made");
        Ok(site)
    }

    /// A work directory with nothing but the config.
    fn operator(&self, name: &str) -> Result<PathBuf> {
        let dir = self.lab.work().join(name);
        fs::create_dir_all(&dir)?;
        let config = self.lab.lab(&["config", "key", "small", "kubexm"])?.ok()?;
        fs::write(dir.join("config.yaml"), config.text)?;
        Ok(dir)
    }

    fn kubexm(&self, dir: &Path, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(dir, arguments))
    }

    fn install(&self, dir: &Path) -> Result<Ended> {
        self.kubexm(dir, &["install", &self.bundle, "-f", "config.yaml"])?
            .ok()
    }

    fn kubectl(&self, arguments: &str) -> Result<String> {
        self.lab.on("node1", &format!("{KUBECTL} {arguments}"))
    }
}

#[test]
#[ignore = "needs the lab and real Kubernetes, and age: make e2e"]
fn a_site_is_made_again_from_a_backup_and_its_keys() -> Result<()> {
    let site = Site::up()?;
    let first = site.operator("first")?;
    run(site
        .lab
        .connected(&first, &["bundle", "-f", "config.yaml", "-o", &site.bundle]))?
    .ok()?;
    site.install(&first)?;
    site.kubectl("create configmap kept")?;
    let token = site.kubectl("create token default")?;
    let recipient = fs::read_to_string(site.identity.with_extension("pub"))?;
    let backup = site
        .lab
        .work()
        .join("etcd.db")
        .to_string_lossy()
        .into_owned();
    let arguments = [
        "etcd",
        "backup",
        "-f",
        "config.yaml",
        "-o",
        &backup,
        "--recipient",
        recipient.trim(),
    ];
    site.kubexm(&first, &arguments)?.ok()?;
    let authority = fs::read(first.join(".kubexm/lab/certs/kubernetes/ca.crt"))?;

    // All of it is lost.
    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    site.kubexm(&first, &delete)?.ok()?;
    fs::remove_dir_all(&first)?;

    let again = site.operator("again")?;
    let unpack = format!(
        "mkdir -p .kubexm/lab && age --decrypt --identity {} {backup}.keys.age | tar x -C .kubexm/lab",
        site.identity.display()
    );
    let unpacked = Command::new("sh")
        .args(["-ec", &unpack])
        .current_dir(&again)
        .status()
        .context("a shell with age")?;
    ensure!(unpacked.success(), "the keys were not unpacked");
    let installed = site.install(&again)?;
    println!("installed with the old keys in {:?}", installed.took);
    let restored = site
        .kubexm(
            &again,
            &["etcd", "restore", &backup, "-f", "config.yaml", "--yes"],
        )?
        .ok()?;
    println!("restored in {:?}", restored.took);

    site.kubectl("get configmap kept")?;
    let now = fs::read(again.join(".kubexm/lab/certs/kubernetes/ca.crt"))?;
    ensure!(now == authority, "it is another authority");
    // What the old site has given out holds.
    let told = site.lab.on(
        "node1",
        &format!(
            "kubectl --kubeconfig /dev/null --server https://127.0.0.1:6443 --certificate-authority \
             /etc/kubernetes/pki/ca.crt --token {} auth whoami",
            token.trim()
        ),
    )?;
    ensure!(
        told.contains("system:serviceaccount:default:default"),
        "{told}"
    );
    site.kubexm(&again, &["check", "-f", "config.yaml"])?.ok()?;
    let second = site.install(&again)?;
    ensure!(second.text.contains(UNCHANGED), "{}", second.text);
    Ok(())
}
