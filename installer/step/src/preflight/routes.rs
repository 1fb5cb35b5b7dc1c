//! Whether packets get where they must.

use ipnet::IpNet;

use super::observed::{Observed, Origin, Route};
use super::{Finding, Requirements};

pub(super) fn judge(wanted: &Requirements, seen: &Observed) -> Vec<Finding> {
    let Some(routes) = &seen.routes else {
        return Vec::new();
    };
    let leads = |to: &IpNet| routes.iter().any(|route| route.to.contains(to));
    let lost = wanted.routed.iter().filter(|to| !leads(to));
    let mut findings: Vec<Finding> = lost
        .map(|to| {
            let ip = match to {
                IpNet::V4(_) => "ip",
                IpNet::V6(_) => "ip -6",
            };
            Finding::new(
                format!("it has no default route, and none to {to}: its programs would reach no service"),
                format!(
                    "give it a default route, or one for services alone ({ip} route add {to} dev INTERFACE), also for the next boot"
                ),
            )
        })
        .collect();
    if wanted.forwards_v6 {
        let advertised = routes.iter();
        findings.extend(advertised.filter_map(judge_advertised));
    }
    findings
}

/// A node forwards packets, and then the kernel takes no more advertisements.
fn judge_advertised(
    Route {
        to,
        interface,
        origin,
    }: &Route,
) -> Option<Finding> {
    (*origin == Origin::Advertised && to.prefix_len() == 0).then(|| {
        Finding::new(
            format!("its IPv6 default route on {interface} is a router's advertisement, which the kernel no longer takes once it forwards"),
            format!("set net.ipv6.conf.{interface}.accept_ra = 2, also for the next boot, or give it a route of its own"),
        )
    })
}
