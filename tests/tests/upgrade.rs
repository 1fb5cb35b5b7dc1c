//! From one real Kubernetes to a later one, in the lab. `KUBEXM_LAB_KUBE` names the folders of two, the older first.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tests::lab::{Ended, Lab, kill_after, run};

/// A site with a cluster of the older version, and a bundle that leads to the later one.
struct Site {
    lab: Lab,
    dir: PathBuf,
    from: String,
    to: String,
}

/// The version of a folder.
fn version(folder: &str) -> Result<String> {
    let text = fs::read_to_string(format!("{folder}/VERSION"));
    Ok(text.with_context(|| folder.to_owned())?.trim().to_owned())
}

impl Site {
    /// Installs the older version, and makes the bundle.
    fn up(nodes: usize, kind: &str) -> Result<Self> {
        let folders = std::env::var("KUBEXM_LAB_KUBE").unwrap_or_default();
        let (older, later) = folders
            .split_once(':')
            .context("KUBEXM_LAB_KUBE names no two folders with real Kubernetes programs")?;
        let (from, to) = (version(older)?, version(later)?);
        let lab = Lab::up(nodes)?;
        let config = lab.lab(&["config", "key", "small", kind])?.ok()?.text;
        // Of these the lab has one version that is real.
        let named = "  versions:\n    coredns: v1.14.2\n    crictl: v1.36.0\n";
        let config = config.replacen("  versions:\n", named, 1);
        let dir = lab.work().to_owned();
        let older = config.replace(&format!("version: {to}"), &format!("version: {from}"));
        ensure!(older != config, "{to} is not in the config:\n{config}");
        fs::write(dir.join("old.yaml"), older)?;
        fs::write(dir.join("config.yaml"), config)?;
        let site = Self { lab, dir, from, to };
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

    fn kubexm(&self, arguments: &[&str]) -> Result<Ended> {
        run(self.lab.inside(&self.dir, arguments))
    }

    fn upgrading(&self, arguments: &[&str]) -> Command {
        let upgrade = ["upgrade", "cluster", "upgrade.tar.zst", "-f", "config.yaml"];
        self.lab.inside(&self.dir, &[&upgrade, arguments].concat())
    }

    fn kubectl(&self, arguments: &str) -> Result<String> {
        let kubectl =
            "kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl";
        self.lab.on("node1", &format!("{kubectl} {arguments}"))
    }

    /// Of every node: name, version, whether it takes pods.
    fn nodes(&self) -> Result<String> {
        self.kubectl(
            "get nodes --no-headers --output custom-columns=\
             N:.metadata.name,V:.status.nodeInfo.kubeletVersion,U:.spec.unschedulable",
        )
    }

    fn is_new(&self) -> Result<()> {
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

    /// What the journal and the cluster tell of the moments at which requests failed.
    fn around(&self, failed: &[String]) -> Result<Vec<String>> {
        let times = failed.iter().filter_map(|line| line.get(3..22));
        let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
            return Ok(Vec::new());
        };
        let first: Timestamp = format!("{first}Z").parse()?;
        let last: Timestamp = format!("{last}Z").parse()?;
        let near = first - SignedDuration::from_secs(15)..last + SignedDuration::from_secs(5);
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

    /// A service of two pods with a budget.
    fn serve(&self) -> Result<()> {
        fs::write(self.dir.join("web.yaml"), WEB)?;
        let text = WEB.replace('\'', "'\\''");
        self.lab.on(
            "node1",
            &format!(
                "printf '%s' '{text}' | kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl \
                 apply -f - && kubectl --kubeconfig /etc/kubernetes/admin.conf --cache-dir /dev/shm/kubectl \
                 rollout status deployment/web --timeout 120s"
            ),
        )?;
        Ok(())
    }

    /// Asks the service on every node's port ten times a second, and notes what comes of it.
    fn client(&self) -> Result<Client> {
        let told = self.dir.join("client.log");
        let script = format!(
            "while :; do for node in 11 12 13; do curl -s -o /dev/null -m 2 -w '%{{http_code}} %{{errormsg}}\\n' \
             http://172.30.0.$node:30080/ || echo \"at $(date -u +%FT%T) by node $node\"; sleep 0.1; done; done > {}",
            told.display()
        );
        let mut command = self.lab.inside_shell(&script);
        let child = command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Client { child, told })
    }
}

struct Client {
    child: Child,
    told: PathBuf,
}

impl Client {
    /// How many questions were asked, and which went wrong.
    fn end(mut self) -> Result<(usize, Vec<String>)> {
        let group = format!("-{}", self.child.id());
        Command::new("kill")
            .args(["-KILL", "--", &group])
            .status()?;
        self.child.wait()?;
        let text = fs::read_to_string(&self.told)?;
        let answers = text.lines().filter(|line| !line.starts_with("at "));
        let failed = text.lines().filter(|line| !line.starts_with("200"));
        Ok((answers.count(), failed.map(str::to_owned).collect()))
    }
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 10
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}}
      containers:
      - name: web
        image: docker.io/library/busybox:1.37
        command: [sh, -c, mkdir -p /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
";

/// Three nodes and the registry: the whole way, cut short once, under a client's eyes.
fn a_small_cluster_goes_on(kind: &str) -> Result<()> {
    let site = Site::up(4, kind)?;
    let refused = site.kubexm(&["install", "upgrade.tar.zst", "-f", "config.yaml"])?;
    let refused = refused.with(1)?;
    ensure!(
        refused.text.contains("kubexm upgrade cluster"),
        "{}",
        refused.text
    );
    site.serve()?;
    // Somebody else's cordon stays.
    site.kubectl("cordon node3")?;
    let dry = run(site.upgrading(&["--dry-run"]))?.ok()?;
    ensure!(
        dry.text.contains(&format!("-> {}", site.to)),
        "{}",
        dry.text
    );
    ensure!(
        site.nodes()?.matches(&site.from).count() == 3,
        "a dry run changes nothing"
    );

    let client = site.client()?;
    let began = std::time::Instant::now();
    let killed = kill_after(site.upgrading(&["--yes"]), Duration::from_secs(50))?;
    ensure!(killed, "it was over before it was killed");
    let ended = run(site.upgrading(&["--yes"]))?.ok()?;
    let took = began.elapsed();
    let (asked, failed) = client.end()?;
    for line in site.around(&failed)? {
        println!("{line}");
    }
    println!(
        "{kind}: {} -> {} took {took:?} with a kill, the second run {:?}; {} of {asked} requests failed: {failed:?}",
        site.from,
        site.to,
        ended.took,
        failed.len()
    );
    site.is_new()?;
    let nodes = site.nodes()?;
    let cordoned: Vec<&str> = nodes
        .lines()
        .filter(|line| line.ends_with("true"))
        .collect();
    ensure!(
        cordoned.len() == 1 && cordoned[0].starts_with("node3"),
        "{nodes}"
    );
    let snapshots = fs::read_dir(site.dir.join(".kubexm/lab/backups"))?;
    let snapshots = snapshots.count();
    // The run that was killed may have had nothing but its snapshot.
    ensure!(
        snapshots == 2 || snapshots == 4,
        "a snapshot and its note of each run that has found nothing new: {snapshots} files"
    );
    let again = run(site.upgrading(&["--yes"]))?.ok()?;
    println!("{kind}: a run with nothing to do took {:?}", again.took);
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    let installed = site.kubexm(&["install", "upgrade.tar.zst", "-f", "config.yaml"])?;
    let installed = installed.ok()?.text;
    ensure!(
        installed.contains("everything is as it should be"),
        "{installed}"
    );
    site.lab.nobody_asked_for_the_world()?;
    ensure!(failed.is_empty(), "requests failed: {failed:?}");
    Ok(())
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn plain_binaries_are_upgraded_under_load() -> Result<()> {
    a_small_cluster_goes_on("kubexm")
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn kubeadm_upgrades_under_load() -> Result<()> {
    a_small_cluster_goes_on("kubeadm")
}

/// Three nodes and the registry: the control plane, then a worker, which goes back and forth again; then the rest.
fn a_part_at_a_time(kind: &str) -> Result<()> {
    let site = Site::up(4, kind)?;
    let (from, to) = (&site.from, &site.to);
    let are = |wanted: [&str; 3]| -> Result<()> {
        let nodes = site.nodes()?;
        for (node, version) in ["node1", "node2", "node3"].iter().zip(wanted) {
            let mut lines = nodes.lines();
            let line = lines
                .find(|line| line.starts_with(node))
                .unwrap_or_default();
            ensure!(
                line.contains(version) && !line.ends_with("true"),
                "{node} is not {version}:\n{nodes}"
            );
        }
        Ok(())
    };
    let early = run(site.upgrading(&["--yes", "--only", "node2"]))?.with(1)?;
    ensure!(
        early.text.contains("--only control-plane comes first"),
        "{}",
        early.text
    );
    let plane = run(site.upgrading(&["--yes", "--only", "control-plane"]))?.ok()?;
    are([to, from, from])?;
    let again = run(site.upgrading(&["--yes", "--only", "control-plane"]))?.ok()?;
    ensure!(
        again.text.contains("everything is as it should be"),
        "{}",
        again.text
    );
    let worker = run(site.upgrading(&["--yes", "--only", "node2"]))?.ok()?;
    are([to, to, from])?;
    let back = [
        "upgrade",
        "cluster",
        "old.tar.zst",
        "-f",
        "config.yaml",
        "--yes",
        "--rollback",
    ];
    let master = site.kubexm(&[&back[..], &["node1"]].concat())?.with(1)?;
    ensure!(
        master.text.contains("node1 cannot go back"),
        "{}",
        master.text
    );
    let back = site.kubexm(&[&back[..], &["node2"]].concat())?.ok()?;
    are([to, from, from])?;
    let rest = run(site.upgrading(&["--yes"]))?.ok()?;
    site.is_new()?;
    println!(
        "{kind}: {from} -> {to}: the control plane took {:?}, a worker {:?}, back {:?}, the rest {:?}",
        plane.took, worker.took, back.took, rest.took
    );
    site.lab.nobody_asked_for_the_world()
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn plain_binaries_are_upgraded_a_part_at_a_time() -> Result<()> {
    a_part_at_a_time("kubexm")
}

#[test]
#[ignore = "needs the lab and two real versions of Kubernetes: make e2e"]
fn kubeadm_upgrades_a_part_at_a_time() -> Result<()> {
    a_part_at_a_time("kubeadm")
}
