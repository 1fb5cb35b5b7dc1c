//! A DNS cache on each node, on real Kubernetes in the lab: both ways in which pods find it, and how it goes. `KUBEXM_LAB_IMAGES`
//! names a folder with a real image of it.

use anyhow::{Result, ensure};
use tests::kube::{Site, Topology};

/// The last is the registry.
const NODES: usize = 3;
const RUNNING: [&str; 2] = ["node1", "node2"];
const QUIET: &str = "everything is as it should be";
const OWN: &str = "169.254.20.10";
const SERVICE: &str = "10.233.0.10";

/// The machine's kernel makes no dummy interfaces. The cache takes one that is there, of whatever kind, and takes it away when it ends.
const INTERFACE: &str = "modules=/lib/modules/$(uname -r); mkdir -p $modules && echo kernel/drivers/net/dummy.ko >>$modules/modules.builtin && \
                         systemd-run --quiet sh -c 'while :; do ip link add nodelocaldns type bridge 2>/dev/null; sleep 0.2; done'";

const WEB: &str = "create deployment web --image docker.io/library/busybox:1.37 -- sleep infinity";

fn addresses(site: &Site, node: &str) -> Result<String> {
    site.lab
        .on(node, "ip -4 -o address show nodelocaldns 2>&1 || true")
}

/// Questions that the cache of a node has answered.
fn asked(site: &Site, node: &str) -> Result<f64> {
    let metrics =
        "exec 3<>/dev/tcp/127.0.0.1/9253; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let text = site.lab.on(node, &format!("bash -c \"{metrics}\""))?;
    let counts = text
        .lines()
        .filter(|line| line.starts_with("coredns_dns_requests_total{"));
    Ok(counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum())
}

/// Whom a new pod asks.
fn told(site: &Site) -> Result<String> {
    let wait = "rollout status deployment/web --timeout 120s";
    site.kubectl(wait)?;
    site.kubectl("exec deployment/web -- cat /etc/resolv.conf")
}

fn set(site: &mut Site, from: &str, to: &str) -> Result<()> {
    ensure!(site.config.contains(from), "{from}:\n{}", site.config);
    site.config = site.config.replace(from, to);
    site.bundle()
}

#[test]
#[ignore = "needs the lab, real Kubernetes and a real node-cache: make e2e"]
fn every_node_has_a_cache_both_ways_and_it_goes() -> Result<()> {
    let on = "  dns: {nodelocaldns: {enabled: true}, coredns";
    let mut site = Site::of(NODES, Topology::Small, "kubexm", |config| {
        Ok(config.replace("  dns: {coredns", on))
    })?;
    for node in RUNNING {
        site.lab.on(node, INTERFACE)?;
    }
    let installed = site.install()?;
    println!("install: {:?}", installed.took);
    for node in RUNNING {
        let has = addresses(&site, node)?;
        ensure!(has.contains(OWN) && has.contains(SERVICE), "{node}: {has}");
    }
    let before = asked(&site, "node1")?;
    site.is_green()?;
    ensure!(asked(&site, "node1")? > before, "nobody has asked it");
    site.lab.nobody_asked_for_the_world()?;
    ensure!(
        site.install()?.text.contains(QUIET),
        "a second run does something"
    );

    // Without it pods ask coredns, by the same address.
    site.kubectl(WEB)?;
    ensure!(told(&site)?.contains(SERVICE), "{}", told(&site)?);

    // By another proxy the address of the service is not to be had.
    set(&mut site, "proxyMode: iptables", "proxyMode: nftables")?;
    let changed = site.install()?;
    println!("another proxy: {:?}", changed.took);
    site.is_green()?;
    site.kubectl("rollout restart deployment/web")?;
    ensure!(told(&site)?.contains(OWN), "{}", told(&site)?);

    it_goes(&mut site, on)
}

/// Not while a pod asks it.
fn it_goes(site: &mut Site, on: &str) -> Result<()> {
    set(site, on, "  dns: {coredns")?;
    let refused = site.kubexm(&["install", "lab.tar.zst", "-f", "config.yaml"])?;
    let refused = refused.with(1)?;
    println!("{}", refused.text);
    let words = ["nodelocaldns cannot go yet", "default/web-"];
    for word in words {
        ensure!(refused.text.contains(word), "{word}:\n{}", refused.text);
    }
    site.kubectl("rollout restart deployment/web")?;
    ensure!(told(site)?.contains(SERVICE), "{}", told(site)?);
    let removed = site.install()?;
    println!("removal: {:?}", removed.took);
    for node in RUNNING {
        let has = addresses(site, node)?;
        ensure!(!has.contains(OWN), "{node}: {has}");
        let rules = site.lab.on(
            node,
            "iptables-save; iptables-legacy-save 2>/dev/null || true",
        )?;
        ensure!(!rules.contains("NodeLocal"), "{node}: {rules}");
    }
    ensure!(
        site.install()?.text.contains(QUIET),
        "a second run does something"
    );
    site.is_green()
}
