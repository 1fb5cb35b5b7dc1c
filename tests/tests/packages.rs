//! Hosts that are bare installs get what they lack of their system from the bundle. Run by `make e2e`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::lab::{Ended, Flavor, Lab, run, same};
use tests::snapshot::Snapshot;

/// A master that tells the others the time, a load balancer, the registry.
const NODES: [&str; 3] = ["node1", "node2", "node3"];

const ADDRESS: &str = "172.30.0.100";

/// What each host has to have in the end, by program.
const PROGRAMS: [(&str, &[&str]); 3] = [
    ("node1", &["chronyd", "conntrack", "iptables", "socat"]),
    ("node2", &["chronyd", "haproxy", "keepalived"]),
    ("node3", &["chronyd"]),
];

/// The packages of a host, and where it would get others from.
const PACKAGES: &str = "dpkg -l";
const SOURCES: &str = "cd /; find etc/apt usr/share/keyrings var/lib/apt var/cache/apt -type f ! -name extended_states \
     -exec sha256sum {} + | sort";

/// What dpkg and those who help it keep for themselves, in another order or of the day before.
const KEPT_BY_TOOLS: &[&str] = &[
    "var/lib/dpkg/",
    "var/lib/ucf/",
    "var/cache/debconf/",
    "var/cache/ldconfig/",
    "root: adduser",
];

struct Site {
    lab: Lab,
    dir: PathBuf,
}

impl Site {
    fn up() -> Result<Self> {
        let lab = Lab::of(Flavor::Minimal, NODES.len())?;
        let dir = lab.work().to_owned();
        fs::write(dir.join("config.yaml"), config(&lab)?)?;
        run(lab.connected(&dir, &["bundle", "-f", "config.yaml"]))?.ok()?;
        Ok(Self { lab, dir })
    }

    fn installation(&self) -> Command {
        let arguments = ["lab.tar.zst", "-f", "config.yaml", "--until", "images"];
        self.lab
            .inside(&self.dir, &[&["install"], &arguments[..]].concat())
    }

    fn install(&self) -> Result<Ended> {
        run(self.installation())?.ok().context("install")
    }

    fn ask(&self, script: &str) -> Result<String> {
        let answers = NODES.map(|node| self.lab.on(node, script));
        let answers: Result<Vec<String>> = answers.into_iter().collect();
        Ok(answers?.join("\n"))
    }
}

fn config(lab: &Lab) -> Result<String> {
    let config = lab.config()?;
    let with = |config: String, line: &str, replaced: &str| {
        ensure!(config.contains(line), "no {line:?} in\n{config}");
        Ok(config.replace(line, replaced))
    };
    let config = with(
        config,
        "    worker: [node1, node2]\n",
        "    worker: [node1]\n    loadbalancer: [node2]\n",
    )?;
    let config = with(
        config,
        "    ntpServers: [node1]\n",
        "    ntpServers: [node1]\n    timezone: Asia/Shanghai\n",
    )?;
    let endpoint = format!(
        "  controlPlaneEndpoint: {{externalLoadBalancer: kubexm, lb_address: {ADDRESS}}}\n"
    );
    with(config, "  network:\n", &format!("{endpoint}  network:\n"))
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn bare_hosts_get_their_packages_and_give_them_back() -> Result<()> {
    let site = Site::up()?;
    something_of_their_own(&site.lab)?;
    let bare = Snapshot::of(&site.lab, &NODES)?;
    let (packages, sources) = (site.ask(PACKAGES)?, site.ask(SOURCES)?);
    site.lab.lab(&["egress", "reset"])?.ok()?;

    apt_is_killed_at_work(&site)?;
    site.install().context("after apt was killed")?;
    all_programs_are_there(&site.lab)?;
    site.ask("apt-get check && dpkg --audit && rm -f /var/cache/apt/*.bin")?;
    same(&sources, &site.ask(SOURCES)?).context("sources, lists, caches, keys")?;
    no_service_runs_unasked(&site)?;
    clocks_go_by_the_first(&site.lab)?;
    let zones = site.ask("readlink /etc/localtime")?;
    ensure!(zones.matches("Asia/Shanghai").count() == 3, "{zones}");

    let again = site.install()?;
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    site.lab.nobody_asked_for_the_world()?;

    let delete = ["delete", "cluster", "-f", "config.yaml", "--yes", "--purge"];
    run(site.lab.inside(&site.dir, &delete))?.ok()?;
    same(&packages, &site.ask(PACKAGES)?).context("packages after delete")?;
    same(&sources, &site.ask(SOURCES)?).context("sources after delete")?;
    let left = bare.changes_to(&Snapshot::of(&site.lab, &NODES)?);
    let left = left.into_iter();
    let left: Vec<String> = left
        .filter(|change| !KEPT_BY_TOOLS.iter().any(|kept| change.contains(kept)))
        .collect();
    ensure!(left.is_empty(), "what is left:\n{}", left.join("\n"));
    Ok(())
}

/// A policy for services.
fn something_of_their_own(lab: &Lab) -> Result<()> {
    for node in NODES {
        let absent = "! command -v chronyd && ! command -v conntrack && ! command -v haproxy";
        lab.on(node, absent)
            .context("the hosts are no bare installs")?;
        lab.on(
            node,
            "printf '#!/bin/sh\\nexit 0\\n' > /usr/sbin/policy-rc.d && chmod 700 /usr/sbin/policy-rc.d",
        )?;
    }
    Ok(())
}

fn apt_is_killed_at_work(site: &Site) -> Result<()> {
    let mut installation = site.installation();
    let mut installation = installation
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let unpacks = "ls /var/lib/dpkg/tmp.ci/control 2>/dev/null || pgrep -x dpkg-deb";
    let kill = format!(
        "timeout 300 sh -c 'until {unpacks}; do sleep 0.1; done' >/dev/null && kill -9 $(pgrep -x 'apt-get|dpkg')"
    );
    site.lab.on("node1", &kill).context("kill apt")?;
    ensure!(
        !installation.wait()?.success(),
        "nobody has noticed that apt was killed"
    );
    Ok(())
}

fn all_programs_are_there(lab: &Lab) -> Result<()> {
    for (node, programs) in PROGRAMS {
        for program in programs {
            lab.on(node, &format!("command -v {program}"))
                .with_context(|| format!("{program} on {node}"))?;
        }
    }
    Ok(())
}

/// Of the units that came with packages, just those that were configured.
fn no_service_runs_unasked(site: &Site) -> Result<()> {
    let came = "for unit in $(dpkg -L $(cut -d' ' -f1 /var/lib/kubexm/before/packages/added) | \
         sed -n 's#^/usr/lib/systemd/system/\\([^/@]*\\.\\(service\\|socket\\|timer\\)\\)$#\\1#p' | sort -u); do \
         ! systemctl is-active --quiet $unit || echo $unit; done";
    let running = |node: &str| -> Result<Vec<String>> {
        let text = site.lab.on(node, came)?;
        Ok(text.lines().map(ToOwned::to_owned).collect())
    };
    for (node, expected) in [
        ("node1", &["chrony.service"][..]),
        (
            "node2",
            &["chrony.service", "haproxy.service", "keepalived.service"],
        ),
        ("node3", &["chrony.service"]),
    ] {
        let running = running(node)?;
        ensure!(running == expected, "{node} runs {running:?}");
    }
    Ok(())
}

/// The first by itself, the others by the first.
fn clocks_go_by_the_first(lab: &Lab) -> Result<()> {
    for (node, source) in [
        ("node1", ""),
        ("node2", "172.30.0.11"),
        ("node3", "172.30.0.11"),
    ] {
        let tracking = lab.on(
            node,
            "timeout 120 sh -c 'until chronyc -c tracking | grep -q \",Normal$\"; do sleep 1; done'; chronyc -c tracking",
        )?;
        ensure!(
            tracking.contains("Normal") && tracking.contains(source),
            "{node}: {tracking}"
        );
    }
    Ok(())
}
