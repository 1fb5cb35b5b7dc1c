//! The store of a real cluster in the lab: looked at, copied, lost and brought back. `KUBEXM_LAB_KUBE` gives the programs;
//! without them `make e2e` leaves these tests out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, kill_after, run};

/// A site with a bundle and a cluster.
struct Site {
    lab: Lab,
    dir: PathBuf,
    members: Vec<&'static str>,
    stacked: bool,
}

const UNCHANGED: &str = "everything is as it should be";

impl Site {
    fn up(nodes: usize, kind: &str) -> Result<Self> {
        ensure!(
            std::env::var_os("KUBEXM_LAB_KUBE").is_some(),
            "KUBEXM_LAB_KUBE names no folder with real Kubernetes programs"
        );
        let lab = Lab::up(nodes)?;
        let config = lab.lab(&["config", "key", "small", kind])?.ok()?.text;
        let stacked = kind == "kubeadm";
        let config = if stacked {
            with_stacked_etcd(&config)?
        } else {
            config
        };
        let dir = lab.work().to_owned();
        fs::write(dir.join("config.yaml"), config)?;
        run(lab.connected(&dir, &["bundle", "-f", "config.yaml"]))?.ok()?;
        let site = Self {
            lab,
            dir,
            members: vec!["node1", "node2", "node3"],
            stacked,
        };
        site.install()?;
        Ok(site)
    }

    fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    fn etcd(&self, arguments: &[&str]) -> Result<Ended> {
        self.kubexm(&[&["etcd"], arguments, &["-f", "config.yaml"]].concat())
    }

    fn install(&self) -> Result<Ended> {
        let install = ["install", "lab.tar.zst", "-f", "config.yaml"];
        self.kubexm(&install)?.ok()
    }

    fn is_green(&self) -> Result<()> {
        self.kubexm(&["check", "-f", "config.yaml"])?.ok().map(drop)
    }

    fn kubectl(&self, arguments: &str) -> Result<String> {
        let kubectl =
            "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";
        self.lab.on("node1", &format!("{kubectl} {arguments}"))
    }

    fn stop_member(&self) -> &'static str {
        if self.stacked {
            "systemctl stop kubelet; for p in $(crictl pods -q --label component=etcd); do crictl stopp $p; crictl rmp -f $p; done"
        } else {
            "systemctl stop etcd"
        }
    }

    /// What is done to the data of a member behind its back; then its host does what it can.
    fn member_loses(&self, member: &str, how: &str) -> Result<()> {
        let start = if self.stacked {
            "systemctl start kubelet; sleep 15"
        } else {
            "systemctl start --no-block etcd; sleep 5"
        };
        let script = format!("{}; {how}; {start}", self.stop_member());
        self.lab.on(member, &script).map(drop)
    }

    /// An install lets the member in again, and all are well.
    fn is_replaced(&self, member: &str) -> Result<()> {
        let installed = self.install()?;
        println!(
            "{member} was replaced in {:?}\n{}",
            installed.took, installed.text
        );
        let status = self.etcd(&["status"])?.ok()?;
        ensure!(
            status.text.matches("healthy").count() == 3,
            "{}",
            status.text
        );
        println!("{}", status.text);
        Ok(())
    }

    /// Every member loses its data, as if all their disks were new.
    fn lose_all_data(&self) -> Result<()> {
        let stop = self.stop_member();
        for member in &self.members {
            self.lab
                .on(member, &format!("{stop}; rm -rf /var/lib/etcd/*"))?;
        }
        Ok(())
    }

    /// A pod that is there, and a host that runs it, when the snapshot is not.
    fn runs_phantom(&self) -> Result<bool> {
        let said = self.lab.on(
            "node2",
            "crictl pods --state Ready --quiet --label run=phantom",
        )?;
        Ok(!said.trim().is_empty())
    }
}

/// Three masters, each with a member.
fn with_stacked_etcd(config: &str) -> Result<String> {
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
        "{head}  roleGroups:\n    master: [node1, node2, node3]\n    worker: [node2, node3, node4]\n    registry: [node5]\n  \
         controlPlaneEndpoint: {{internalLoadbalancer: nginx}}\n{before}  etcd: {{type: kubeadm}}\n{after}"
    ))
}

fn a_lost_store_comes_back(nodes: usize, kind: &str) -> Result<()> {
    let site = Site::up(nodes, kind)?;
    let status = site.etcd(&["status"])?.ok()?;
    ensure!(
        status.text.matches("healthy").count() == 3,
        "{}",
        status.text
    );
    println!("{}", status.text);
    site.kubectl("create configmap kept")?;
    a_backup_is_whole_and_for_nobody_else(&site)?;
    a_drill_tells_a_good_snapshot_from_a_damaged_one(&site)?;
    site.etcd(&["defrag"])?.ok()?;
    site.etcd(&["alarms"])?.ok()?;

    site.kubectl("create configmap lost")?;
    let pause = site
        .kubectl("get pods --all-namespaces -o 'jsonpath={.items[*].spec.containers[*].image}'")?;
    let coredns = pause
        .split_whitespace()
        .find(|image| image.contains("coredns"))
        .context("coredns runs")?;
    site.kubectl(&format!(
        "run phantom --image={coredns} --overrides='{{\"spec\":{{\"nodeName\":\"node2\"}}}}'"
    ))?;
    site.kubectl("wait --for=condition=PodScheduled pod/phantom --timeout=60s")?;
    for _ in 0..30 {
        if site.runs_phantom()? {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    ensure!(site.runs_phantom()?, "the pod does not come up");

    site.lose_all_data()?;
    let status = site.etcd(&["status"])?.with(1)?;
    ensure!(
        status.text.matches("no data").count() >= 3,
        "{}",
        status.text
    );
    let restore = ["etcd", "restore", "b.db", "-f", "config.yaml", "--yes"];
    for seconds in [4, 9, 14] {
        let killed = kill_after(
            site.lab.inside(&site.dir, &restore),
            Duration::from_secs(seconds),
        )?;
        println!("killed after {seconds} s: {killed}");
    }
    let restored = site.kubexm(&restore)?.ok()?;
    println!("restored in {:?}", restored.took);
    site.etcd(&["status"])?.ok()?;
    site.kubectl("get configmap kept")?;
    ensure!(
        site.kubectl("get configmap lost").is_err(),
        "written after the backup"
    );
    site.is_green()?;
    ensure!(
        !site.runs_phantom()?,
        "a pod runs that the cluster does not know"
    );
    let second = site.install()?;
    ensure!(second.text.contains(UNCHANGED), "{}", second.text);
    a_restore_of_a_cluster_that_works_keeps_what_it_had(&site)
}

fn a_backup_is_whole_and_for_nobody_else(site: &Site) -> Result<()> {
    let backup = site.etcd(&["backup", "-o", "b.db"])?.ok()?;
    println!("{} ({:?})", backup.text, backup.took);
    for name in ["b.db", "b.db.json"] {
        let mode = fs::metadata(site.dir.join(name))?.permissions().mode() & 0o777;
        ensure!(mode == 0o600, "{name}: {mode:o}");
    }
    site.etcd(&["backup", "-o", "b.db"])?.with(2)?;
    let left = site.members.iter().map(|member| {
        site.lab
            .on(member, "find / -xdev -name 'kubexm-backup.db*' 2>/dev/null")
    });
    for left in left {
        ensure!(left?.trim().is_empty(), "a snapshot was left on a member");
    }
    Ok(())
}

fn a_drill_tells_a_good_snapshot_from_a_damaged_one(site: &Site) -> Result<()> {
    let drill = site.etcd(&["drill", "b.db"])?.ok()?;
    ensure!(drill.text.contains("namespaces"), "{}", drill.text);
    println!("{} ({:?})", drill.text, drill.took);
    let whole = fs::read(site.dir.join("b.db"))?;
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for (name, bytes) in [
        ("damaged.db", damaged.as_slice()),
        ("cut.db", &whole[..whole.len() - 32]),
        ("empty.db", &[]),
        ("b.db.part", &whole),
    ] {
        fs::write(site.dir.join(name), bytes)?;
        site.etcd(&["drill", name])?.with(3)?;
        site.etcd(&["restore", name, "--yes"])?.with(3)?;
    }
    let copy = site.etcd(&["drill", "cut.db", "--copied-store"])?;
    copy.ok().context("a copy of a store")?;
    Ok(())
}

fn a_restore_of_a_cluster_that_works_keeps_what_it_had(site: &Site) -> Result<()> {
    let restore = ["etcd", "restore", "b.db", "-f", "config.yaml", "--yes"];
    let restored = site.kubexm(&restore)?.ok()?;
    println!("restored while it worked in {:?}", restored.took);
    site.kubectl("get configmap kept")?;
    let aside = site
        .lab
        .on("node1", "ls -d /var/lib/etcd/kubexm-aside-*/member | wc -l")?;
    ensure!(aside.trim() == "1", "set aside: {aside}");
    site.is_green()
}

/// The disk of one member is new, the log of another is damaged; the others hold what there is.
fn members_are_lost_one_by_one(nodes: usize, kind: &str) -> Result<()> {
    let site = Site::up(nodes, kind)?;
    site.kubectl("create configmap kept")?;
    site.member_loses("node1", "rm -rf /var/lib/etcd/member")?;
    let told = site.etcd(&["status"])?.with(1)?;
    ensure!(told.text.contains("newest backup"), "{}", told.text);
    site.is_replaced("node1")?;
    let log = "for wal in /var/lib/etcd/member/wal/*.wal; do head -c 4096 /dev/urandom | dd of=\"$wal\" bs=1 seek=128 conv=notrunc; done \
               2>/dev/null";
    site.member_loses("node3", log)?;
    site.is_replaced("node3")?;
    let aside = site.lab.on(
        "node3",
        "ls -d /var/lib/etcd/kubexm-aside-*/member/wal | wc -l",
    )?;
    ensure!(aside.trim() == "1", "set aside: {aside}");
    site.kubectl("get configmap kept")?;
    site.is_green()?;
    let second = site.install()?;
    ensure!(second.text.contains(UNCHANGED), "{}", second.text);
    Ok(())
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn members_that_are_services_are_lost_and_replaced() -> Result<()> {
    members_are_lost_one_by_one(4, "kubexm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn stacked_members_are_lost_and_replaced() -> Result<()> {
    members_are_lost_one_by_one(5, "kubeadm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn a_store_of_services_is_lost_and_comes_back() -> Result<()> {
    a_lost_store_comes_back(4, "kubexm")
}

#[test]
#[ignore = "needs the lab and real Kubernetes: make e2e"]
fn a_stacked_store_is_lost_and_comes_back() -> Result<()> {
    a_lost_store_comes_back(5, "kubeadm")
}
