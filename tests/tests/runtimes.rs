//! Other runtimes than containerd, with real programs. `KUBEXM_LAB_RUNTIMES` names the folder that holds them: `crio`, `pinns`,
//! `conmon`, `crun` with `libyajl.so.2`, and `cri-dockerd`; beside them `runc-lab` with `runc-lab.real`, which do without what nodes of
//! the lab may not do. crun does not run on hosts with both versions of cgroups, as those of the lab are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tests::kube::{Site, Topology};
use tests::snapshot::Snapshot;

/// The last is the registry.
const SMALL: [&str; 4] = ["node1", "node2", "node3", "node4"];

/// What of the lab's config is another.
struct Runtime {
    config: &'static str,
    versions: &'static str,
    /// What names a version that is not needed begins so.
    without: &'static str,
    /// What nodes say.
    says: &'static str,
}

const CRIO: Runtime = Runtime {
    config: "    containerRuntime:
      type: cri-o
      crio:
        config:
          crio:
            runtime:
              default_runtime: lab
              runtimes: {lab: {runtime_path: /opt/lab/runc-lab, monitor_path: /usr/local/libexec/crio/conmon}}
",
    versions: "",
    without: "    none:",
    says: "cri-o://1.36.3",
};
const DOCKER: Runtime = Runtime {
    config: "    containerRuntime:
      type: docker
      version: 28.5.2
      docker:
        config: {default-runtime: lab, runtimes: {lab: {path: /opt/lab/runc-lab}}}
    featureGates: {ExtendWebSocketsToKubelet: false}
",
    versions: "    cri-dockerd: v0.4.3\n",
    without: "    runc:",
    says: "docker://28.5.2",
};

fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("KUBEXM_LAB_RUNTIMES");
    folder
        .map(PathBuf::from)
        .context("KUBEXM_LAB_RUNTIMES names no folder with real programs")
}

/// The lab's config with another runtime.
fn with(config: &str, of: &Runtime) -> Result<String> {
    let begin = config
        .find("    containerRuntime:\n")
        .context("a config has a runtime")?;
    let end = config[begin..]
        .find("  network:\n")
        .context("a config has a network")?;
    let (head, tail) = (&config[..begin], &config[begin + end..]);
    let versions = format!("  versions:\n{}", of.versions);
    let tail = tail.replace("  versions:\n", &versions);
    let lines = tail.split_inclusive('\n');
    let tail: String = lines.filter(|line| !line.starts_with(of.without)).collect();
    Ok(format!("{head}{}{tail}", of.config))
}

fn site(kind: &str, runtime: &Runtime) -> Result<Site> {
    let folder = folder()?;
    let site = Site::of(SMALL.len(), Topology::Small, kind, |config| {
        with(config, runtime)
    })?;
    for node in SMALL {
        for program in ["runc-lab", "runc-lab.real"] {
            let to = format!("/opt/lab/{program}");
            site.lab.put(node, &folder.join(program), &to)?;
        }
    }
    Ok(site)
}

/// Installed, green, quiet, and gone without a trace.
fn a_small_cluster(kind: &str, runtime: &Runtime) -> Result<()> {
    let site = site(kind, runtime)?;
    let bare = Snapshot::of(&site.lab, &SMALL)?;
    site.install()?;
    site.is_green()?;
    site.lab.nobody_asked_for_the_world()?;
    let nodes = site.kubectl("get nodes --output wide")?;
    ensure!(nodes.matches(runtime.says).count() == 3, "{nodes}");
    let second = site.install()?;
    let unchanged = "everything is as it should be";
    ensure!(second.text.contains(unchanged), "{}", second.text);
    let pods = "get pods --all-namespaces --output wide";
    let before = site.kubectl(pods)?;
    site.kubexm(&["restart", "nodes", "-f", "config.yaml"])?
        .ok()?;
    site.is_green()?;
    let after = site.kubectl(pods)?;
    let names = |told: &str| -> Vec<String> {
        let lines = told
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1));
        lines.map(str::to_owned).collect()
    };
    ensure!(names(&before) == names(&after), "{before}\n{after}");
    site.delete(&["--purge"])?;
    let left = bare.changes_to(&Snapshot::of(&site.lab, &SMALL)?);
    ensure!(left.is_empty(), "what is left:\n{}", left.join("\n"));
    Ok(())
}

#[test]
#[ignore = "needs the lab, real Kubernetes and real runtimes: make e2e"]
fn kubeadm_makes_a_small_cluster_on_crio() -> Result<()> {
    a_small_cluster("kubeadm", &CRIO)
}

#[test]
#[ignore = "needs the lab, real Kubernetes and real runtimes: make e2e"]
fn kubeadm_makes_a_small_cluster_on_docker() -> Result<()> {
    a_small_cluster("kubeadm", &DOCKER)
}
