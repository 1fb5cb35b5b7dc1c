//! Addresses that several hosts hold in turn: before they do, nobody else may.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use engine::{Cx, StepError};
use host::{Command, Facts};

use super::{Finding, Requirements, Survey};
use crate::network::find_link::{Link, ask_links};
use crate::shell::ask;

/// A shared address as one of its hosts sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedAddress {
    pub address: IpAddr,
    pub held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Here,
    /// Somebody else answers.
    Elsewhere,
    Nowhere,
}

/// Who has an address must say so to be reached, even if it then takes no connection. What is remembered of a former
/// owner does not count.
const ANSWERS: &str = r#"PATH=$PATH:/usr/sbin:/sbin
answers() {
  ip neigh flush to "$1" >/dev/null 2>&1
  timeout 2 bash -c ": </dev/tcp/$1/$2" 2>/dev/null || ip neigh show to "$1" | grep -q lladdr
}
"#;

pub(super) async fn look(
    cx: &Cx,
    wanted: &Requirements,
    facts: &Facts,
) -> Result<Vec<SharedAddress>, StepError> {
    if wanted.shared.is_empty() {
        return Ok(Vec::new());
    }
    let is_here = |socket: &SocketAddr| facts.addresses.contains(&socket.ip());
    let elsewhere = wanted.shared.iter().filter(|socket| !is_here(socket));
    let asked: Vec<String> = elsewhere
        .map(|socket| {
            let (ip, port) = (socket.ip(), socket.port());
            format!("answers {ip} {port} && echo {ip}")
        })
        .collect();
    let script = format!("{ANSWERS}{}\ntrue", asked.join("\n"));
    let answered = ask(cx, Command::script(script)).await?.text();
    let held = |socket: &SocketAddr| {
        let ip = socket.ip().to_string();
        match () {
            () if is_here(socket) => Held::Here,
            () if answered.lines().any(|line| line == ip) => Held::Elsewhere,
            () => Held::Nowhere,
        }
    };
    let seen = wanted.shared.iter().map(|socket| SharedAddress {
        address: socket.ip(),
        held: held(socket),
    });
    Ok(seen.collect())
}

/// Shared addresses that nobody around the host would find there.
pub(super) async fn find_outside(
    cx: &Cx,
    wanted: &Requirements,
) -> Result<Vec<Finding>, StepError> {
    if wanted.shared.is_empty() {
        return Ok(Vec::new());
    }
    let links = ask_links(cx).await?;
    // An address by itself is no network: so a shared one stands where it is held.
    let is_network = |link: &&Link| {
        let net = link.address;
        net.prefix_len() < net.max_prefix_len() && !net.addr().is_loopback()
    };
    let networks: Vec<&Link> = links.iter().filter(is_network).collect();
    let shown: Vec<String> = networks
        .iter()
        .map(|link| format!("{} on {}", link.address.trunc(), link.interface))
        .collect();
    let shown = shown.join(", ");
    let inside = |ip: IpAddr| networks.iter().any(|link| link.address.contains(&ip));
    let outside = wanted.shared.iter().map(SocketAddr::ip);
    Ok(outside
        .filter(|ip| !inside(*ip))
        .map(|ip| {
            Finding::new(
                format!("the virtual address {ip} is in none of its networks ({shown})"),
                "give an address of one of them in controlPlaneEndpoint.lb_address",
            )
        })
        .collect())
}

/// What a host that belongs to no cluster yet holds is not from us.
pub(super) fn judge_held(shared: &[SharedAddress]) -> Vec<Finding> {
    let held = shared.iter().filter(|shared| shared.held == Held::Here);
    held.map(|SharedAddress { address, .. }| {
        Finding::new(
            format!("it has the virtual address {address} already"),
            "take it off the host, or give another one in controlPlaneEndpoint.lb_address",
        )
    })
    .collect()
}

/// Addresses that answer, and none of the hosts that share them holds. `surveys` must be those of all hosts.
pub(super) fn judge_foreign(surveys: &[(&str, &Survey)]) -> Vec<(String, Finding)> {
    let seen = surveys
        .iter()
        .flat_map(|(host, survey)| survey.shared.iter().map(move |shared| (*host, shared)));
    let ours: BTreeSet<IpAddr> = seen
        .clone()
        .filter(|(_, shared)| shared.held == Held::Here)
        .map(|(_, shared)| shared.address)
        .collect();
    let mut told = ours;
    let mut findings = Vec::new();
    for (host, shared) in seen {
        if shared.held == Held::Elsewhere && told.insert(shared.address) {
            let address = shared.address;
            let finding = Finding::new(
                format!(
                    "somebody answers at the virtual address {address}, and it is none of the hosts that share it"
                ),
                format!(
                    "find out who: ip neigh show to {address}; or give another one in controlPlaneEndpoint.lb_address"
                ),
            );
            findings.push((host.to_owned(), finding));
        }
    }
    findings
}
