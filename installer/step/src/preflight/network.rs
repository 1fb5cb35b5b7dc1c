//! Whether a host has what the network of the pods needs of it.

use super::observed::Observed;
use super::{Finding, Port, Requirements};

/// A directory of the kernel that must be there, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    pub path: &'static str,
    pub of: &'static str,
    pub fix: &'static str,
}

/// What holds on every run.
pub(super) fn judge_directories(wanted: &Requirements, seen: &Observed) -> Vec<Finding> {
    let missing = wanted.directories.iter();
    let missing = missing.filter(|directory| seen.absent.iter().any(|at| at == directory.path));
    missing
        .map(|Directory { path, of, fix }| {
            Finding::new(format!("it has no {path}, which {of} mount"), *fix)
        })
        .collect()
}

/// What holds only before the first run: later the ports are in use by us.
pub(super) fn judge_datagram_ports(wanted: &Requirements, seen: &Observed) -> Vec<Finding> {
    let taken = wanted.datagram_ports.iter();
    let taken = taken.filter(|port| seen.datagram_ports.contains(&port.number));
    taken
        .map(|Port { number, of }| {
            Finding::new(
                format!("UDP port {number} is in use, which {of} needs"),
                format!(
                    "find out by whom: ss -lunp 'sport = :{number}'; ip -d link show type vxlan"
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_s_ports_and_directories_are_asked_for() {
        let wanted = Requirements {
            directories: vec![Directory {
                path: "/sys/fs/bpf",
                of: "calico's pods",
                fix: "mount it",
            }],
            datagram_ports: vec![Port {
                number: 4789,
                of: "calico's VXLAN",
            }],
            ..Requirements::default()
        };
        let told = |findings: Vec<Finding>| {
            let lines = findings.iter();
            let lines = lines.map(|finding| format!("{}: {}", finding.what, finding.fix));
            lines.collect::<Vec<_>>().join("\n")
        };
        let whole = Observed::default();
        assert!(judge_directories(&wanted, &whole).is_empty());
        assert!(judge_datagram_ports(&wanted, &whole).is_empty());
        let poor = Observed {
            absent: vec!["/sys/fs/bpf".to_owned()],
            datagram_ports: vec![68, 4789],
            ..Observed::default()
        };
        insta::assert_snapshot!(told(judge_directories(&wanted, &poor)), @"it has no /sys/fs/bpf, which calico's pods mount: mount it");
        insta::assert_snapshot!(told(judge_datagram_ports(&wanted, &poor)), @"UDP port 4789 is in use, which calico's VXLAN needs: find out by whom: ss -lunp 'sport = :4789'; ip -d link show type vxlan");
    }
}
