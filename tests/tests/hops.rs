//! Several minors of real Kubernetes in one bundle, in the lab. `KUBEXM_LAB_KUBE` names a folder for each, the oldest first; the
//! same sources with three version stamps were used, so stamps, and what kubexm and kubeadm do by them, are what differs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::lab::{kill_after, run};
use tests::load::{Beside, Client, Writer, Written, node_ports, serve};
use tests::moments::Moments;
use tests::upgrade::{Shape, Site};

/// Three masters, two workers, two load balancers, the registry.
const NODES: usize = 8;
const ENDPOINT: &str = "https://172.30.0.100:6443";
/// An election of etcd ends within twice its time-out, which is 5 s.
const ELECTION: Duration = Duration::from_secs(10);

fn up(nodes: usize, shape: Shape, kind: &str) -> Result<Site> {
    let began = Instant::now();
    let site = Site::up(nodes, shape, kind)?;
    ensure!(
        site.versions.len() > 2,
        "KUBEXM_LAB_KUBE names fewer than three folders"
    );
    serve(&site.lab)?;
    println!("{kind}: installed in {:?}", began.elapsed());
    Ok(site)
}

/// Who uses the cluster meanwhile.
struct Load {
    service: Client,
    endpoint: Client,
    writer: Writer,
}

/// What they have met.
struct Met {
    service: (usize, Vec<String>),
    endpoint: (usize, Vec<String>),
    written: Written,
}

impl Load {
    fn begin(site: &Site, service: &[&str], server: &str) -> Result<Self> {
        let readyz = [format!("{server}/readyz")];
        Ok(Self {
            service: Client::begin(&site.lab, "service", &node_ports(service))?,
            endpoint: Client::begin(&site.lab, "endpoint", &readyz)?,
            writer: Writer::begin(&site.lab, server)?,
        })
    }

    fn end(self, site: &Site) -> Result<Met> {
        let met = Met {
            service: self.service.end()?,
            endpoint: self.endpoint.end()?,
            written: self.writer.end()?,
        };
        for line in site.around(&met.failed())? {
            println!("{line}");
        }
        println!(
            "of {} requests to the service failed {:?}\nof {} requests to the endpoint failed {:?}\n\
             of {} writes failed {:?}, the longest took {:?}\nof {} looks at the budget {:?} found it broken",
            met.service.0,
            met.service.1,
            met.endpoint.0,
            met.endpoint.1,
            met.written.writes,
            met.written.failed,
            met.written.longest,
            met.written.looks,
            met.written.broken,
        );
        Ok(met)
    }
}

impl Met {
    fn failed(&self) -> Vec<String> {
        let lists = [&self.service.1, &self.endpoint.1, &self.written.failed];
        lists.into_iter().flatten().cloned().collect()
    }

    fn nothing_failed(&self) -> Result<()> {
        let failed = self.failed();
        ensure!(failed.is_empty(), "failed: {failed:?}");
        self.budget_held()?;
        ensure!(
            self.written.longest < ELECTION,
            "a write waited {:?}",
            self.written.longest
        );
        Ok(())
    }

    fn budget_held(&self) -> Result<()> {
        let broken = &self.written.broken;
        ensure!(broken.is_empty(), "the budget was broken: {broken:?}");
        Ok(())
    }
}

fn nobody_is_cordoned(site: &Site) -> Result<()> {
    let nodes = site.nodes()?;
    ensure!(!nodes.lines().any(|line| line.ends_with("true")), "{nodes}");
    Ok(())
}

/// All that speaks of a cluster that was upgraded, and of nothing else.
fn has_arrived(site: &Site) -> Result<()> {
    site.is_new()?;
    nobody_is_cordoned(site)?;
    site.is_at_rest()?;
    site.lab.nobody_asked_for_the_world()
}

fn several_hops(kind: &str) -> Result<()> {
    let site = up(NODES, Shape::Spares, kind)?;
    let nodes = ["172.30.0.11", "172.30.0.14", "172.30.0.15"];
    let load = Load::begin(&site, &nodes, ENDPOINT)?;
    let ended = run(site.upgrading(&["--yes"]))?;
    let met = load.end(&site)?;
    let ended = ended.ok()?;
    println!("{kind}: {:?} took {:?}", site.versions, ended.took);
    has_arrived(&site)?;
    met.nothing_failed()
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_kubeadm_goes_several_hops_under_load() -> Result<()> {
    several_hops("kubeadm")
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_plain_binaries_go_several_hops_under_load() -> Result<()> {
    several_hops("kubexm")
}

/// `KUBEXM_LAB_KUBE` names folders of 1.33 and 1.34 here, the first with images of etcd 3.5.24 and 3.5.33.
#[test]
#[ignore = "needs the lab, and a folder of 1.33 with images of etcd 3.5: make e2e-long"]
fn long_stacked_members_of_3_5_become_of_3_6() -> Result<()> {
    let site = Site::up(5, Shape::Stacked, "kubeadm")?;
    serve(&site.lab)?;
    let dry = run(site.upgrading(&["--dry-run"]))?.ok()?;
    let told = "each becomes quay.io/coreos/etcd:v3.5.33";
    ensure!(dry.text.contains(told), "{}", dry.text);
    let ports = node_ports(&["172.30.0.11", "172.30.0.12", "172.30.0.14"]);
    let client = Client::begin(&site.lab, "service", &ports)?;
    // Cut short while members change, most often.
    let killed = kill_after(site.upgrading(&["--yes"]), Duration::from_secs(45))?;
    let status = site.kubexm(&["etcd", "status", "-f", "config.yaml"])?;
    println!("killed: {killed}\n{}", status.text);
    let ended = run(site.upgrading(&["--yes"]))?;
    let (asked, failed) = client.end()?;
    println!(
        "the rest took {:?}; {} of {asked} requests failed: {failed:?}",
        ended.took,
        failed.len()
    );
    ended.ok()?;
    let journal = std::fs::read_to_string(site.dir.join(".kubexm/lab/state/journal.jsonl"))?;
    for node in ["node1", "node2", "node3"] {
        let first = format!("etcd first/members/{node}/image of etcd");
        ensure!(journal.contains(&first), "{node} was not changed first");
    }
    for line in journal
        .lines()
        .filter(|line| line.contains(" of etcd") || line.contains("etcd's static pod"))
    {
        println!("{line}");
    }
    let status = site
        .kubexm(&["etcd", "status", "-f", "config.yaml"])?
        .ok()?;
    ensure!(!status.text.contains("3.5."), "{}", status.text);
    has_arrived(&site)?;
    ensure!(failed.is_empty(), "requests failed: {failed:?}");
    Ok(())
}

const KILLS: usize = 20;

fn killed_again_and_again(kind: &str) -> Result<()> {
    let site = up(4, Shape::Small, kind)?;
    let mut moments = Moments::new()?;
    let ports = node_ports(&["172.30.0.11", "172.30.0.12", "172.30.0.13"]);
    let client = Client::begin(&site.lab, "service", &ports)?;
    let mut kills = 0;
    for number in 0..KILLS {
        // Behind its look at the cluster, most often.
        let moment = moments.draw(6..30);
        let killed = kill_after(site.upgrading(&["--yes"]), moment)?;
        kills += usize::from(killed);
        println!("{kind}: run {number}, {moment:?}, killed: {killed}");
    }
    let last = run(site.upgrading(&["--yes"]))?;
    let (asked, failed) = client.end()?;
    println!(
        "{kind}: {kills} kills, the last run took {:?}; {} of {asked} requests failed: {failed:?}",
        last.took,
        failed.len()
    );
    last.ok()?;
    has_arrived(&site)?;
    ensure!(failed.is_empty(), "requests failed: {failed:?}");
    Ok(())
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_kubeadm_bears_kills_at_any_moment() -> Result<()> {
    killed_again_and_again("kubeadm")
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_plain_binaries_bear_kills_at_any_moment() -> Result<()> {
    killed_again_and_again("kubexm")
}

/// Upgrades until the first master is of this version, and then loses this node. What the run said.
fn lose(site: &Site, version: &str, node: &str) -> Result<String> {
    let told = site.dir.join(format!("without-{node}.log"));
    let mut upgrade = Beside::begin(site.upgrading(&["--yes"]), &told)?;
    loop {
        ensure!(upgrade.goes_on()?, "it ended before {node} was lost");
        let nodes = site.nodes().unwrap_or_default();
        if nodes
            .lines()
            .any(|line| line.starts_with("node1") && line.contains(version))
        {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    site.lab.lab(&["node-kill", node])?.ok()?;
    let (status, said) = upgrade.end()?;
    ensure!(status == Some(1), "status {status:?}:\n{said}");
    ensure!(said.contains(node), "{said}");
    Ok(said)
}

/// It is started, and a node again.
fn find_again(site: &Site, node: &str) -> Result<()> {
    site.lab.lab(&["node-start", node])?.ok()?;
    let ready = format!("wait --for condition=Ready node/{node} --timeout 180s");
    site.kubectl(&ready).map(drop)
}

fn a_node_dies(kind: &str) -> Result<()> {
    let site = up(NODES, Shape::Spares, kind)?;
    let second = site.versions[1].clone();
    let load = Load::begin(&site, &["172.30.0.11", "172.30.0.14"], ENDPOINT)?;
    let said = lose(&site, &second, "node5")?;
    println!("{kind}: without a worker:\n{said}");
    let met = load.end(&site)?;
    // Requests that were led to pods of the lost node had to fail.
    let ours = [&met.endpoint.1, &met.written.failed];
    ensure!(ours.iter().all(|failed| failed.is_empty()), "{ours:?}");
    ensure!(met.written.longest < ELECTION, "{:?}", met.written.longest);
    find_again(&site, "node5")?;

    let (to, last) = (site.to.clone(), "node3");
    let said = lose(&site, &to, last)?;
    println!("{kind}: without a master:\n{said}");
    let load = Load::begin(&site, &["172.30.0.11", "172.30.0.14"], ENDPOINT)?;
    std::thread::sleep(Duration::from_secs(30));
    load.end(&site)?.nothing_failed()?;
    find_again(&site, last)?;
    let ended = run(site.upgrading(&["--yes"]))?.ok()?;
    println!("{kind}: with all nodes again it took {:?}", ended.took);
    has_arrived(&site)
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_kubeadm_halts_where_a_node_dies_and_goes_on_with_it() -> Result<()> {
    a_node_dies("kubeadm")
}

#[test]
#[ignore = "needs the lab and three real versions of Kubernetes: make e2e-long"]
fn long_plain_binaries_halt_where_a_node_dies_and_go_on_with_it() -> Result<()> {
    a_node_dies("kubexm")
}
