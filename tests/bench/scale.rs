//! How plans and runs grow with the hosts. What kubexm plans is measured as a process, what its engine costs a step over
//! hosts that answer at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use artifact::{
    Contents, FileEntry, ImageEntry, PlatformEntry, Program, Release, Sha256, What, needs,
};
use camino::Utf8Path;
use cluster::{Arch, Cluster};
use engine::{Graph, Inventory, Journal, Order, Plan, RunOptions, Stage, Step, Task};
use event::Events;
use host::fake::FakeHost;
use step::StaysUp;
use tokio::runtime::Runtime;

use crate::acts::operator;
use crate::measure::{Cost, measure};

const HOSTS: [usize; 3] = [100, 1000, 5000];
const FORMATS: [&str; 4] = ["tree", "json", "dot", "html"];
/// How many steps the engine is given on each host.
const STEPS: usize = 20;

/// A line for each number of hosts. Wanted are a plan of 1,000 hosts in a second and 150 MiB whatever its form, five times
/// that for 5,000, and 20 us for a step.
pub fn table(kubexm: &Utf8Path, work: &Utf8Path) -> Result<String> {
    let mut table =
        String::from("hosts  plan as    time     cpu    memory   output  a step of a run\n");
    for hosts in HOSTS {
        let scheduled = scheduled(hosts, work)?;
        for format in FORMATS {
            let (cost, output) = planned(kubexm, work, hosts, format)?;
            writeln!(
                table,
                "{hosts:>5}  {format:7} {:>6.2} s {:>5.2} s {:>5} MiB {:>5} MB  {:>6.1} us",
                cost.wall.as_secs_f64(),
                cost.cpu.as_secs_f64(),
                cost.memory >> 20,
                output / 1_000_000,
                scheduled.as_secs_f64() * 1e6,
            )?;
        }
    }
    Ok(table)
}

/// What `kubexm plan` costs, and how much it says.
fn planned(kubexm: &Utf8Path, work: &Utf8Path, hosts: usize, format: &str) -> Result<(Cost, u64)> {
    let config = work.join(format!("{hosts}.yaml"));
    let text = config_of(hosts);
    let cluster = cluster::parse(config.as_str(), &text)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?
        .cluster;
    fs::write(&config, text)?;
    let tree = work.join(".kubexm").join(cluster.name());
    fs::create_dir_all(&tree)?;
    let contents = serde_json::to_vec(&complete(&cluster))?;
    fs::write(tree.join("bundle.json"), contents)?;
    let log = work.join("plan.log");
    let command = [
        kubexm.as_str(),
        "plan",
        "--config",
        config.as_str(),
        "--work-dir",
        work.as_str(),
        "--format",
        format,
    ];
    let cost = measure(&command.map(str::to_owned), &log)?;
    Ok((cost, fs::metadata(&log)?.len()))
}

fn config_of(hosts: usize) -> String {
    let mut text = String::from(
        "apiVersion: kubexm.mensylisir.io/v1alpha1\nkind: Cluster\nmetadata: {name: many}\nspec:\n  hosts:\n",
    );
    for host in 1..=hosts {
        let (high, low) = (host / 250, host % 250 + 1);
        let _ = writeln!(
            text,
            "    - {{name: node{host}, address: 10.1.{high}.{low}, user: root, password: secret}}"
        );
    }
    let _ = write!(
        text,
        "  roleGroups:
    registry: [node4]
    etcd: [\"node[1:3]\"]
    master: [\"node[1:3]\"]
    worker: [\"node[4:{hosts}]\"]
  controlPlaneEndpoint: {{internalLoadbalancer: haproxy, domain: lb.kubexm.local}}
  network: {{kubePodsCIDR: 100.64.0.0/10}}
  kubernetes: {{version: v1.34.2, type: kubexm}}
  etcd: {{type: kubexm}}
"
    );
    text
}

/// A bundle that holds everything the config asks for.
fn complete(cluster: &Cluster) -> Contents {
    let arch = Arch::Amd64;
    let (mut files, mut images) = (Vec::new(), Vec::new());
    let mut sets = BTreeMap::new();
    for need in needs(cluster) {
        match need.what {
            What::Component { name, programs } => files.push(component(cluster, name, programs)),
            What::Images { set } => {
                let reference = format!("registry.k8s.io/{set}:1");
                sets.insert(set, vec![reference.clone()]);
                images.push(image(reference, &need.wanted_by));
            }
            What::Image { reference, .. } => images.push(image(reference, &need.wanted_by)),
            What::Package { .. } | What::Addon { .. } => {}
        }
    }
    files.extend(images.iter().map(blob));
    files.extend(
        ["images/index.json", "images/oci-layout"]
            .map(|path| FileEntry::new(path, 100, 0o644, Sha256::of(path.as_bytes()))),
    );
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    images.sort_by(|a: &ImageEntry, b| a.reference.cmp(&b.reference));
    images.dedup_by(|a, b| a.reference == b.reference);
    let releases = vec![Release {
        images: sets,
        ..Release::of(cluster.spec.kubernetes.version.clone(), &files)
    }];
    Contents {
        arches: vec![arch],
        releases,
        files,
        images,
        ..Contents::new(cluster.name(), "0.1.0")
    }
}

fn component(cluster: &Cluster, name: &str, programs: &[&str]) -> FileEntry {
    let version = match name {
        "kubelet" => cluster.spec.kubernetes.version.with_v(),
        _ => "v1.2.3".to_owned(),
    };
    let program = |program: &&str| Program {
        name: (*program).into(),
        member: None,
        size: 1 << 20,
        sha256: Sha256::of(program.as_bytes()),
    };
    let path = format!("{name}/{version}/amd64/{name}.tar.gz");
    FileEntry {
        component: Some(name.into()),
        version: Some(version),
        arch: Some(Arch::Amd64),
        programs: programs.iter().map(program).collect(),
        ..FileEntry::new(path, 1 << 20, 0o644, Sha256::of(name.as_bytes()))
    }
}

/// What an image begins with.
fn blob(image: &ImageEntry) -> FileEntry {
    let path = format!("images/blobs/sha256/{}", image.digest);
    FileEntry::new(path, 1 << 20, 0o644, image.digest)
}

fn image(reference: String, wanted_by: &str) -> ImageEntry {
    let digest = Sha256::of(reference.as_bytes());
    ImageEntry {
        platforms: vec![PlatformEntry {
            arch: Arch::Amd64,
            digest,
            size: 1 << 20,
        }],
        wanted_by: vec![wanted_by.into()],
        ..ImageEntry::new(reference, digest)
    }
}

/// What a step costs the engine.
fn scheduled(hosts: usize, work: &Utf8Path) -> Result<Duration> {
    let names: Vec<String> = (0..hosts).map(|host| format!("node{host}")).collect();
    // It has nothing to do: of whatever a fake host is asked, it says that it is so.
    let step: Arc<dyn Step> = Arc::new(StaysUp {
        unit: "some.service",
        answers: None,
    });
    let task = |at: usize| Task::new(format!("task {at}")).on_each(&names, |_| vec![step.clone()]);
    let stage = |name: &'static str| {
        Stage::new(name, (0..STEPS / 2).map(task).collect()).after(Order::AllHosts)
    };
    let graph = Graph::of(Plan::new("scale", vec![stage("one"), stage("two")]))?;
    let inventory: Inventory = names
        .iter()
        .map(|name| {
            let host: Arc<dyn host::Host> = Arc::new(FakeHost::new(name));
            (name.clone(), host)
        })
        .collect();
    let journal = Journal::open(&work.join("journal"))?;
    let options = RunOptions {
        bundle: "bench".into(),
        jobs: 64,
        inject_error: None,
    };
    let (events, cancel) = (Events::nowhere(), operator().stop);
    let start = Instant::now();
    let running = engine::run(&graph, &inventory, &options, &journal, &events, &cancel);
    let report = Runtime::new()?.block_on(running)?;
    ensure!(report.failures.is_empty(), "a step failed");
    let steps = u32::try_from(graph.len())?;
    Ok(start.elapsed() / steps)
}
