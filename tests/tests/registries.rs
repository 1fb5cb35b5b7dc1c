//! Registries in the lab: one that the site had before, and two of the site's own of which one is lost. Run by `make e2e`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use engine::{Cx, Slot, Step};
use event::Progress;
use host::Redactor;
use host::local::LocalHost;
use secrecy::SecretString;
use step::{
    Certificate, CertificateAuthority, CertificateSpec, KeyPairFiles, PrepareRegistryCredentials,
    RegistryCredentials, Usage,
};
use tests::lab::{Ended, Lab, run};

const BUSYBOX: &str = "docker.io/library/busybox:1.37";
const PULL: &str = "ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d";
/// The site's bridge: a machine that is no host of the config.
const OUTSIDE: &str = "172.30.0.1";
const DOMAIN: &str = "hub.corp.example";
/// One that has no TLS: a registry that nodes ask themselves, and a mirror of docker.io.
const OLD: &str = "172.30.0.1:8081";
const PUSHER: &str = "pushers-secret";
const READER: &str = "readers: secret%";

struct Made {
    dir: PathBuf,
    bundle: PathBuf,
}

impl Made {
    fn of(lab: &Lab, config: &str) -> Result<Self> {
        let dir = lab.work().join("connected");
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("config.yaml"), config)?;
        run(lab.connected(&dir, &["bundle", "-f", "config.yaml"]))?.ok()?;
        let bundle = dir.join("lab.tar.zst");
        Ok(Self { dir, bundle })
    }

    fn installing(&self, lab: &Lab) -> Command {
        let bundle = self.bundle.display().to_string();
        let config = self.dir.join("config.yaml").display().to_string();
        let until = ["--until", "images"];
        let arguments = ["install", &bundle, "-f", &config].into_iter().chain(until);
        lab.inside(lab.work(), &arguments.collect::<Vec<_>>())
    }

    fn install(&self, lab: &Lab) -> Result<Ended> {
        run(self.installing(lab))
    }
}

async fn apply(step: impl Step) -> Result<()> {
    let host = Arc::new(LocalHost::new("operator", Redactor::default()));
    let cx = Cx::new(host, Progress::unseen());
    step.apply(&cx)
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// Two accounts, and a certificate of an authority that nobody knows.
async fn secrets(dir: &Path) -> Result<()> {
    let dir = camino::Utf8Path::from_path(dir).context("a path of UTF-8")?;
    let ca = KeyPairFiles::at(dir.join("certs.d/ca"));
    apply(CertificateAuthority::new(
        ca.clone(),
        "authority of the corporation",
    ))
    .await?;
    let spec = CertificateSpec::new(DOMAIN, Usage::Server).dns([DOMAIN]);
    apply(Certificate::new(
        ca,
        KeyPairFiles::at(dir.join("server")),
        spec,
    ))
    .await?;
    let mut lines = String::new();
    for (name, secret) in [("pusher", PUSHER), ("reader", READER)] {
        let account = RegistryCredentials {
            username: name.to_owned(),
            password: SecretString::from(secret),
        };
        let at = dir.join(name);
        apply(PrepareRegistryCredentials::new(
            &at,
            Some(account),
            Slot::new(name),
        ))
        .await?;
        lines.push_str(&fs::read_to_string(at.join("htpasswd"))?);
    }
    fs::write(dir.join("htpasswd"), lines)?;
    let settings = format!(
        "\
version: 0.1
log: {{ level: error }}
storage: {{ filesystem: {{ rootdirectory: {dir}/data }} }}
auth: {{ htpasswd: {{ realm: corp, path: {dir}/htpasswd }} }}
http:
  addr: {OUTSIDE}:8443
  secret: test
  tls: {{ certificate: {dir}/server.crt, key: {dir}/server.key }}
"
    );
    fs::write(dir.join("registry.yml"), settings)?;
    let old = format!(
        "\
version: 0.1
log: {{ level: error }}
storage: {{ filesystem: {{ rootdirectory: {dir}/old }} }}
http: {{ addr: '{OLD}', secret: test }}
"
    );
    fs::write(dir.join("old.yml"), old)?;
    Ok(())
}

/// The config of the lab without its registry host, for one that was there before.
fn external(config: &str, dir: &Path) -> String {
    let (before, rest) = config
        .split_once("  registry:\n    version:")
        .unwrap_or((config, ""));
    let (_, after) = rest.split_once('\n').unwrap_or(("", rest));
    let without: String = before
        .lines()
        .filter(|line| !line.starts_with("    registry: ["))
        .map(|line| match line {
            "    worker: [node1]" => "    worker: [node1, node2]\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    let folder = dir.join("certs.d");
    let old = format!(
        "      containerd:\n        insecureRegistries: [{OLD}]\n        registryMirrors: ['http://{OLD}/hub']\n"
    );
    let without = without.replacen("      containerd:\n", &old, 1);
    format!(
        "{without}  registry:
    type: external
    privateRegistry: {DOMAIN}:8443
    address: {OUTSIDE}
    namespaceOverride: team/kubexm
    auths:
      {DOMAIN}:8443:
        username: pusher
        password: {PUSHER}
        pull: {{username: reader, password: '{READER}'}}
        certsPath: {}
{after}",
        folder.display()
    )
}

fn asked(lab: &Lab, dir: &Path, what: &str) -> Result<String> {
    let ca = dir.join("certs.d/ca.crt");
    let script = format!(
        "curl -sS --noproxy '*' --cacert {} --resolve {DOMAIN}:8443:{OUTSIDE} -u pusher:{PUSHER} https://{DOMAIN}:8443/v2/{what}",
        ca.display()
    );
    Ok(run(lab.inside_shell(&script))?.ok()?.text)
}

/// An image of a host that the bundle has none of.
fn of_your_own(lab: &Lab, made: &Made) -> Result<()> {
    let saved = lab.work().join("saved.tar");
    let save = format!(
        "skopeo copy -q --src-tls-verify=false docker://{OLD}/old/tool:1 docker-archive:{}:quay.io/own/tool:2",
        saved.display()
    );
    run(lab.inside_shell(&save))?.ok()?;
    let config = made.dir.join("config.yaml").display().to_string();
    let saved = saved.display().to_string();
    let push = || run(lab.inside(lab.work(), &["images", "push", &saved, "-f", &config]))?.ok();
    push()?;
    lab.on("node2", &format!("{PULL} quay.io/own/tool:2"))?;
    let again = push()?;
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    Ok(())
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn a_registry_that_was_there_before_is_filled_and_left_alone() -> Result<()> {
    let lab = Lab::up(2)?;
    let dir = lab.work().join("corp");
    fs::create_dir_all(&dir)?;
    tokio::runtime::Runtime::new()?.block_on(secrets(&dir))?;
    let made = Made::of(&lab, &external(&lab.config()?, &dir))?;
    lab.lab(&["egress", "reset"])?.ok()?;

    // Nobody answers there yet: told before anything is touched.
    let early = made.install(&lab)?.with(1)?;
    ensure!(
        early
            .text
            .contains("it gets no connection to hub.corp.example:8443"),
        "{}",
        early.text
    );
    ensure!(
        lab.on("node1", "ls /etc/containerd 2>/dev/null || true")?
            .is_empty()
    );

    for name in ["registry", "old"] {
        let serve = format!(
            "docker-registry serve {0}/{name}.yml >{0}/{name}.log 2>&1 & echo $! >{0}/{name}.pid",
            dir.display()
        );
        run(lab.inside_shell(&serve))?.ok()?;
    }
    let first = made.install(&lab)?.ok()?;
    println!(
        "install with a registry that was there before: {:?}",
        first.took
    );
    for secret in [PUSHER, READER] {
        ensure!(
            !first.text.contains(secret),
            "a password is shown:\n{}",
            first.text
        );
    }
    let catalog = asked(&lab, &dir, "_catalog")?;
    ensure!(
        catalog.contains("team/kubexm/docker.io/library/busybox"),
        "{catalog}"
    );
    lab.on("node1", &format!("{PULL} {BUSYBOX}"))?;
    // Nodes have the account that reads, and its authority; they have not the other.
    let known = lab.on("node1", "cat /etc/containerd/certs.d/*/hosts.toml | sed -n 's/.*Basic //p' | tr -d '\"' | base64 -d")?;
    ensure!(
        known.contains("reader:") && !known.contains("pusher"),
        "{known}"
    );
    // What the registry lacks comes from whom the config names behind it.
    for name in ["old/tool:1", "hub/library/other:1"] {
        let busybox = format!("{OUTSIDE}:8443/team/kubexm/{BUSYBOX}");
        let copy = format!(
            "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --src-creds pusher:{PUSHER} docker://{busybox} docker://{OLD}/{name}"
        );
        run(lab.inside_shell(&copy))?.ok()?;
    }
    lab.on("node1", &format!("{PULL} {OLD}/old/tool:1"))?;
    lab.on("node1", &format!("{PULL} docker.io/library/other:1"))?;
    of_your_own(&lab, &made)?;
    let hosts = lab.on("node1", "cat /etc/hosts")?;
    ensure!(hosts.contains("172.30.0.1 hub.corp.example"), "{hosts}");
    let second = made.install(&lab)?.ok()?;
    ensure!(
        second.text.contains("everything is as it should be"),
        "{}",
        second.text
    );
    lab.nobody_asked_for_the_world()?;

    let filled = asked(&lab, &dir, "_catalog")?;
    let config = made.dir.join("config.yaml").display().to_string();
    run(lab.inside(
        lab.work(),
        &["delete", "cluster", "-f", &config, "--yes", "--purge"],
    ))?
    .ok()?;
    let left = lab.on(
        "node1",
        "ls /etc/containerd 2>/dev/null; grep hub.corp /etc/hosts || true",
    )?;
    ensure!(left.trim().is_empty(), "{left}");
    let after = asked(&lab, &dir, "_catalog")?;
    ensure!(after == filled, "the registry has lost something: {after}");
    run(lab.inside_shell(&format!("kill $(cat {}/*.pid)", dir.display())))?;
    Ok(())
}

/// Images are on a disk of their own, which stands in for one of NFS as well.
const MOUNT: &str = "mkdir -p /mnt/images && mount -t tmpfs -o size=1g tmpfs /mnt/images";
const FORGET: &str = "systemctl stop kubexm-registry; rm -rf /mnt/images/registry/docker; systemctl start kubexm-registry";

fn is_filled(lab: &Lab, node: &str) -> Result<()> {
    let repositories = "ls /mnt/images/registry/docker/registry/v2/repositories";
    let there = lab.on(node, repositories)?;
    ensure!(there.contains("docker.io"), "{node} has {there}");
    Ok(())
}

/// The account of nodes lets nobody push, neither where nodes ask nor where kubexm pushes.
fn nodes_can_only_read(lab: &Lab) -> Result<()> {
    let toml = "/etc/containerd/certs.d/docker.io/hosts.toml";
    let header = format!("sed -n 's/.*Authorization = //p' {toml} | head -1 | tr -d '\"'");
    let header = lab.on("node1", &header)?;
    let begin = |port: u16| -> Result<String> {
        let curl = format!(
            "curl -sk --noproxy '*' -o /dev/null -w '%{{http_code}}' -H 'Authorization: {}' -X POST https://172.30.0.13:{port}/v2/a/blobs/uploads/",
            header.trim()
        );
        Ok(run(lab.inside_shell(&curl))?.ok()?.text)
    };
    let reading = begin(5001)?;
    ensure!(
        reading.trim() == "405",
        "a push to the reading port: {reading}"
    );
    let pushing = begin(5000)?;
    ensure!(pushing.trim() == "401", "a push as a node: {pushing}");
    Ok(())
}

#[test]
#[ignore = "needs the lab: make e2e"]
fn of_two_registries_one_is_enough_and_a_lost_one_is_filled_again() -> Result<()> {
    let lab = Lab::up(4)?;
    let config = lab.config()?;
    let two: String = config
        .lines()
        .map(|line| match line.trim_start() {
            registry if registry.starts_with("registry: [") => {
                "    registry: [node3, node4]\n".to_owned()
            }
            "registry:" => format!(
                "{line}\n    readOnlyPort: 5001\n    registryDataDir: /mnt/images/registry\n    registryMount: /mnt/images\n"
            ),
            _ => format!("{line}\n"),
        })
        .collect();
    let made = Made::of(&lab, &two)?;

    lab.on("node3", MOUNT)?;
    let early = made.install(&lab)?.with(1)?;
    ensure!(
        early.text.contains("nothing is mounted at /mnt/images") && early.text.contains("node4"),
        "{}",
        early.text
    );
    let empty = lab.on("node4", "ls -A /mnt")?;
    ensure!(empty.trim().is_empty(), "node4 has {empty}");
    lab.on("node4", MOUNT)?;
    let first = made.install(&lab)?.ok()?;
    println!("install with two registries: {:?}", first.took);
    for node in ["node3", "node4"] {
        is_filled(&lab, node)?;
    }
    nodes_can_only_read(&lab)?;
    let forget = format!("ctr -n k8s.io images rm {BUSYBOX} >/dev/null 2>&1; true");
    for lost in ["node3", "node4"] {
        lab.on(lost, "systemctl stop kubexm-registry-nodes")?;
        lab.on("node1", &forget)?;
        lab.on("node1", &format!("{PULL} {BUSYBOX}"))
            .with_context(|| format!("without the registry of {lost}"))?;
        lab.on(lost, "systemctl start kubexm-registry-nodes")?;
    }

    // One host is gone: others go on, and it is named.
    lab.lab(&["node-kill", "node4"])?.ok()?;
    lab.on("node1", &forget)?;
    lab.on("node1", &format!("{PULL} {BUSYBOX}"))?;
    let without = made.install(&lab)?.with(1)?;
    ensure!(without.text.contains("node4"), "{}", without.text);
    lab.lab(&["node-start", "node4"])?.ok()?;

    // It comes back without its disk: nothing is put into the directory that is only the place for it.
    let state = lab.on(
        "node4",
        "sleep 6; systemctl is-active kubexm-registry; ls -A /mnt/images; true",
    )?;
    ensure!(
        state.trim() != "active" && !state.contains("registry"),
        "{state}"
    );
    lab.on("node4", MOUNT)?;
    let again = made.install(&lab)?.ok()?;
    println!("a lost registry filled again: {:?}", again.took);
    is_filled(&lab, "node4")?;

    // Killed while it pushes: the next run goes on.
    lab.on("node4", FORGET)?;
    tests::lab::kill_after(made.installing(&lab), Duration::from_secs(4))?;
    made.install(&lab)?.ok()?;
    is_filled(&lab, "node4")?;
    let last = made.install(&lab)?.ok()?;
    ensure!(
        last.text.contains("everything is as it should be"),
        "{}",
        last.text
    );
    Ok(())
}
