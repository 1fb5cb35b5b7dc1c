//! Whether the names that kubexm puts into `/etc/hosts` will count, and stay.

use std::net::IpAddr;

use super::observed::{HostsLine, Observed};
use super::{Finding, Requirements};

/// A name of the site, as a host is to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteName {
    pub name: String,
    pub of: &'static str,
    pub addresses: Vec<IpAddr>,
}

pub(super) fn judge(wanted: &Requirements, seen: &Observed) -> Vec<Finding> {
    let mut findings: Vec<Finding> = judge_cloud_init(seen).into_iter().collect();
    for SiteName {
        name,
        of,
        addresses,
    } in &wanted.names
    {
        let is_named =
            |line: &&HostsLine| line.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        let lines = seen.hosts.iter().filter(is_named);
        let astray = lines.filter(|line| !addresses.contains(&line.address));
        findings.extend(astray.map(|HostsLine { number, address, .. }| {
            Finding::new(
                format!("line {number} of /etc/hosts leads {name}, the name of {of}, to {address}"),
                "take the name out of it: the first line with a name counts, and kubexm's stand behind",
            )
        }));
    }
    findings
}

fn judge_cloud_init(seen: &Observed) -> Option<Finding> {
    let last = seen.manage_etc_hosts.last()?;
    matches!(last.value.as_str(), "true" | "yes" | "on" | "template").then(|| {
        Finding::new(
            format!(
                "cloud-init writes /etc/hosts anew at each boot, without the names of the site (manage_etc_hosts in {})",
                last.file
            ),
            "set manage_etc_hosts: false there; a file that comes later, /etc/cloud/cloud.cfg.d/99-kubexm.cfg, outweighs all but the machine's own user data",
        )
    })
}
