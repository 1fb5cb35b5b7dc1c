//! Snapshots that members of etcd take by themselves, in the lab, by real timers of systemd. Kubernetes is not needed.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Lab, run};

const MEMBERS: [&str; 3] = ["node1", "node2", "node3"];
const SERVICE: &str = "kubexm-etcd-backup.service";
const TIMER: &str = "kubexm-etcd-backup.timer";
const UNCHANGED: &str = "everything is as it should be";
const DIR: &str = "/var/backups/etcd";

struct Site {
    lab: Lab,
    dir: PathBuf,
    config: String,
}

impl Site {
    fn up() -> Result<Self> {
        let lab = Lab::up(4)?;
        let config = lab.config()?;
        let dir = lab.work().to_owned();
        let site = Self { lab, dir, config };
        site.asks_for("{schedule: '*:0/1', keep: 2}")?;
        run(site
            .lab
            .connected(&site.dir, &["bundle", "-f", "config.yaml"]))?
        .ok()?;
        site.install()?;
        Ok(site)
    }

    /// The config, with this backup.
    fn asks_for(&self, backup: &str) -> Result<()> {
        let etcd = format!("  etcd:\n    backup: {backup}\n");
        let config = self.config.replace("  etcd:\n", &etcd);
        ensure!(config != self.config, "the lab's config has no etcd");
        Ok(fs::write(self.dir.join("config.yaml"), config)?)
    }

    fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    fn install(&self) -> Result<Ended> {
        let install = [
            "install",
            "lab.tar.zst",
            "-f",
            "config.yaml",
            "--until",
            "etcd",
        ];
        self.kubexm(&install)?.ok()
    }

    fn status(&self) -> Result<Ended> {
        self.kubexm(&["etcd", "status", "-f", "config.yaml"])
    }

    /// As the timer does it; whether it went well.
    fn back_up(&self, member: &str) -> Result<bool> {
        let start = format!("systemctl start {SERVICE} 2>/dev/null && echo well || echo failed");
        Ok(self.lab.on(member, &start)?.trim() == "well")
    }

    fn kept(&self, member: &str, dir: &str) -> Result<Vec<String>> {
        let names = self.lab.on(member, &format!("ls -A {dir}"))?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

fn snapshots(names: &[String]) -> Vec<&String> {
    names
        .iter()
        .filter(|name| name.strip_suffix(".json").is_none())
        .collect()
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn members_back_themselves_up() -> Result<()> {
    let site = Site::up()?;
    the_timer_takes_snapshots_by_itself(&site)?;
    the_newest_are_kept_and_can_be_restored(&site)?;
    what_a_killed_run_left_goes(&site)?;
    a_full_disk_costs_no_snapshot_and_is_told(&site)?;
    a_member_that_is_not_healthy_takes_none(&site)?;
    a_changed_config_is_taken_up(&site)?;
    a_deleted_cluster_leaves_them(&site)
}

fn the_timer_takes_snapshots_by_itself(site: &Site) -> Result<()> {
    let status = site.status()?.ok()?;
    ensure!(
        status.text.matches("none yet").count() == 3,
        "{}",
        status.text
    );
    for member in MEMBERS {
        ensure!(
            site.lab
                .on(member, &format!("systemctl is-active {TIMER}"))?
                .trim()
                == "active"
        );
    }
    // Without the minutes by which members spread.
    let soon = format!(
        "mkdir -p /run/systemd/system/{TIMER}.d; printf '[Timer]\\nRandomizedDelaySec=1s\\n' > \
         /run/systemd/system/{TIMER}.d/lab.conf; systemctl daemon-reload; systemctl restart {TIMER}"
    );
    site.lab.on("node1", &soon)?;
    let began = Instant::now();
    while snapshots(&site.kept("node1", DIR)?).is_empty() {
        ensure!(
            began.elapsed() < Duration::from_mins(2),
            "the timer does nothing"
        );
        sleep(Duration::from_secs(3));
    }
    println!("the timer's first snapshot after {:?}", began.elapsed());
    let quiet = format!(
        "rm -r /run/systemd/system/{TIMER}.d; systemctl daemon-reload; systemctl restart {TIMER}"
    );
    site.lab.on("node1", &quiet)?;
    Ok(())
}

fn the_newest_are_kept_and_can_be_restored(site: &Site) -> Result<()> {
    for _ in 0..3 {
        for member in MEMBERS {
            ensure!(site.back_up(member)?, "on {member}");
        }
        sleep(Duration::from_secs(1));
    }
    for member in MEMBERS {
        let kept = site.kept(member, DIR)?;
        ensure!(kept.len() == 4, "snapshots and notes on {member}: {kept:?}");
        let modes = site
            .lab
            .on(member, &format!("stat -c %a:%U {DIR} {DIR}/*"))?;
        ensure!(
            modes
                .split_whitespace()
                .all(|mode| ["700:root", "600:root"].contains(&mode)),
            "{modes}"
        );
    }
    let status = site.status()?.ok()?;
    // Of each member, and the newest of all.
    ensure!(
        status.text.matches("min ago").count() == MEMBERS.len() + 1,
        "{}",
        status.text
    );
    println!("{}", status.text);
    // On the operator's machine it is as any other, with its note.
    let kept = site.kept("node2", DIR)?;
    let newest = snapshots(&kept).last().context("a snapshot")?.as_str();
    for name in [newest.to_owned(), format!("{newest}.json")] {
        let text = site.lab.on("node2", &format!("base64 -w 0 {DIR}/{name}"))?;
        fs::write(site.dir.join(format!("{name}.b64")), text.trim())?;
        let decode = format!("base64 -d {name}.b64 > {name}");
        let mut sh = std::process::Command::new("sh");
        sh.current_dir(&site.dir).args(["-c", &decode]);
        run(sh)?.ok()?;
    }
    let drill = site
        .kubexm(&["etcd", "drill", newest, "-f", "config.yaml"])?
        .ok()?;
    println!("{}", drill.text);
    Ok(())
}

fn what_a_killed_run_left_goes(site: &Site) -> Result<()> {
    let kill = format!(
        "systemctl start --no-block {SERVICE}; sleep 0.15; systemctl kill --signal KILL {SERVICE} 2>/dev/null; \
         touch {DIR}/.etcd-node1.part.part; true"
    );
    site.lab.on("node1", &kill)?;
    ensure!(site.back_up("node1")?);
    let kept = site.kept("node1", DIR)?;
    ensure!(
        kept.len() == 4 && kept.iter().all(|name| !name.starts_with('.')),
        "{kept:?}"
    );
    Ok(())
}

fn a_full_disk_costs_no_snapshot_and_is_told(site: &Site) -> Result<()> {
    let before = site.kept("node3", DIR)?;
    let small = format!(
        "cp -a {DIR} /root/all; mount -t tmpfs -o size=100m,mode=700 tmpfs {DIR}; cp -a /root/all/. {DIR}"
    );
    site.lab.on("node3", &small)?;
    ensure!(!site.back_up("node3")?, "on a full disk");
    ensure!(site.kept("node3", DIR)? == before);
    let status = site.status()?.with(1)?;
    ensure!(
        status
            .text
            .contains("no room in /var/backups/etcd: it takes"),
        "{}",
        status.text
    );
    println!("{}", status.text);
    site.lab
        .on("node3", &format!("umount {DIR}; rm -r /root/all"))?;
    ensure!(site.back_up("node3")?);
    site.status()?.ok().map(drop)
}

fn a_member_that_is_not_healthy_takes_none(site: &Site) -> Result<()> {
    let before = site.kept("node2", DIR)?;
    site.lab.on("node2", "systemctl stop etcd")?;
    ensure!(!site.back_up("node2")?, "of a member that is down");
    ensure!(site.kept("node2", DIR)? == before);
    let status = site.status()?.with(1)?;
    ensure!(status.text.contains("is not healthy"), "{}", status.text);
    site.lab.on("node2", "systemctl start etcd")?;
    ensure!(site.back_up("node2")?);
    Ok(())
}

fn a_changed_config_is_taken_up(site: &Site) -> Result<()> {
    site.asks_for("{schedule: 'Sun 04:00 UTC', keep: 1, dir: /srv/snapshots}")?;
    site.install()?;
    let next = site.lab.on(
        "node1",
        &format!("systemctl show -P TimersCalendar {TIMER}"),
    )?;
    ensure!(next.contains("Sun *-*-* 04:00:00 UTC"), "{next}");
    for _ in 0..2 {
        ensure!(site.back_up("node1")?);
        sleep(Duration::from_secs(1));
    }
    ensure!(snapshots(&site.kept("node1", "/srv/snapshots")?).len() == 1);
    ensure!(
        snapshots(&site.kept("node1", DIR)?).len() == 2,
        "those of before stay"
    );
    let second = site.install()?;
    ensure!(second.text.contains(UNCHANGED), "{}", second.text);
    Ok(())
}

fn a_deleted_cluster_leaves_them(site: &Site) -> Result<()> {
    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    let deleted = site.kubexm(&delete)?.ok()?;
    ensure!(
        deleted
            .text
            .contains("snapshots of etcd stay in /srv/snapshots (1, the last etcd-node1-"),
        "{}",
        deleted.text
    );
    for member in MEMBERS {
        let left = "ls /usr/local/lib/kubexm /etc/systemd/system/kubexm-* 2>/dev/null; systemctl list-timers --all | grep kubexm; true";
        let left = site.lab.on(member, left)?;
        ensure!(left.trim().is_empty(), "on {member}: {left}");
    }
    ensure!(snapshots(&site.kept("node1", "/srv/snapshots")?).len() == 1);
    Ok(())
}
