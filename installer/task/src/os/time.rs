use std::net::IpAddr;
use std::sync::Arc;

use cluster::Host;
use engine::{Retry, Step, Task};
use step::{ByFormat, ProveTime, RunService, SetTimezone, StopServices};
use templates::ChronyConfig;

use crate::Site;
use crate::files::text;
use crate::os::rendered;
use crate::site::url_address;

/// How chrony is laid out on a system.
struct Chrony {
    unit: &'static str,
    config: &'static str,
    drift_file: &'static str,
}

const ON_DEB: Chrony = Chrony {
    unit: "chrony.service",
    config: "/etc/chrony/chrony.conf",
    drift_file: "/var/lib/chrony/chrony.drift",
};

const ON_RPM: Chrony = Chrony {
    unit: "chronyd.service",
    config: "/etc/chrony.conf",
    drift_file: "/var/lib/chrony/drift",
};

/// What else sets clocks, by unit.
const RIVALS: &[&str] = &[
    "systemd-timesyncd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
];

/// And by package: Debian's chrony cannot be installed beside another.
pub(crate) const RIVAL_PACKAGES: &[&str] = &["systemd-timesyncd", "ntp", "ntpsec", "openntpd"];

/// Every host's clock and time zone, as far as the config speaks of them.
#[must_use]
pub fn time(site: &Site) -> Task {
    let system = &site.cluster.spec.system;
    let mut task = Task::new("time");
    for host in &site.cluster.spec.hosts {
        let mut steps: Vec<Arc<dyn Step>> = Vec::new();
        if let Some(zone) = &system.timezone {
            steps.push(Arc::new(SetTimezone { zone: zone.clone() }));
        }
        if !system.ntp_servers.is_empty() {
            steps.extend(chrony(site, host));
        }
        task = task.on(&host.name, steps);
    }
    task
}

/// Every host's clock goes by a source. Nothing is asked where the config names none.
#[must_use]
pub fn prove_time(site: &Site, patience: Retry) -> Task {
    let hosts = match site.cluster.spec.system.ntp_servers.as_slice() {
        [] => Vec::new(),
        _ => site.host_names(),
    };
    Task::new("time")
        .apart()
        .on_each(&hosts, |_| vec![Arc::new(ProveTime { patience })])
}

/// Stops what would set the clock beside chrony, where chrony is to do it.
pub(crate) fn stop_rivals(site: &Site) -> Vec<Arc<dyn Step>> {
    match site.cluster.spec.system.ntp_servers.as_slice() {
        [] => Vec::new(),
        _ => vec![Arc::new(StopServices { units: RIVALS })],
    }
}

fn chrony(site: &Site, host: &Host) -> [Arc<dyn Step>; 2] {
    let config = |on: &Chrony| {
        let config = ChronyConfig {
            servers: servers_asked(site),
            hosts: hosts_asked(site, host),
            clients: clients_of(site, host),
            drift_file: on.drift_file.to_owned(),
        };
        text(on.config, rendered(&config))
    };
    let service = |on: &Chrony| -> Arc<dyn Step> {
        Arc::new(RunService {
            unit: on.unit,
            reads: vec![on.config.into()],
        })
    };
    let both = |name: &str, step: &dyn Fn(&Chrony) -> Arc<dyn Step>| -> Arc<dyn Step> {
        Arc::new(ByFormat {
            name: name.to_owned(),
            deb: step(&ON_DEB),
            rpm: step(&ON_RPM),
        })
    };
    [
        both("write chrony.conf", &config),
        both("run chrony", &service),
    ]
}

/// The host of this cluster that an entry of `ntpServers` means.
fn host_of<'a>(site: &'a Site, server: &str) -> Option<&'a Host> {
    let address: Option<IpAddr> = server.parse().ok();
    site.cluster.spec.hosts.iter().find(|host| {
        host.name == server
            || host.address == server
            || address.is_some_and(|address| host.internal_ips().contains(&address))
    })
}

/// The hosts of this cluster that a host asks for the time, by address: all that `ntpServers` names, but not itself.
fn hosts_asked(site: &Site, host: &Host) -> Vec<String> {
    let named = site.cluster.spec.system.ntp_servers.iter();
    let own = named.filter_map(|server| host_of(site, server));
    let others = own.filter(|own| own.name != host.name);
    let address = |other| url_address(other).trim_matches(['[', ']']).to_owned();
    others.map(address).collect()
}

/// The servers outside of the cluster.
fn servers_asked(site: &Site) -> Vec<String> {
    let named = site.cluster.spec.system.ntp_servers.iter();
    let outside = named.filter(|server| host_of(site, server).is_none());
    outside.cloned().collect()
}

/// Who asks this host for the time: all others, if it is one of those that `ntpServers` names.
fn clients_of(site: &Site, host: &Host) -> Vec<IpAddr> {
    let mut named = site.cluster.spec.system.ntp_servers.iter();
    let serves = named.any(|server| host_of(site, server).is_some_and(|own| own.name == host.name));
    if !serves {
        return Vec::new();
    }
    let others = site.cluster.spec.hosts.iter();
    let others = others.filter(|other| other.name != host.name);
    others.flat_map(Host::internal_ips).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn told(site: &Site, name: &str) -> String {
        let host = site.cluster.host(name).unwrap();
        let clients = clients_of(site, host);
        let clients: Vec<String> = clients.iter().map(ToString::to_string).collect();
        format!(
            "asks {}; serves {}",
            [servers_asked(site), hosts_asked(site, host)]
                .concat()
                .join(" "),
            clients.join(" ")
        )
    }

    #[test]
    fn a_host_of_the_list_serves_the_others() {
        let site = testing::site("system: {ntpServers: [m1, ntp.site]}");
        assert_eq!(
            told(&site, "m1"),
            "asks ntp.site; serves 10.0.0.2 fd00::2 10.0.0.3 fd00::3"
        );
        assert_eq!(told(&site, "w1"), "asks ntp.site 10.0.0.1; serves ");
    }

    #[test]
    fn hosts_are_known_by_their_addresses_too() {
        let site = testing::site("system: {ntpServers: ['fd00::1', m2.example.com]}");
        assert_eq!(
            told(&site, "m1"),
            "asks 10.0.0.2; serves 10.0.0.2 fd00::2 10.0.0.3 fd00::3"
        );
        assert_eq!(told(&site, "w1"), "asks 10.0.0.1 10.0.0.2; serves ");
    }

    #[test]
    fn nobody_sets_clocks_unasked() {
        let site = testing::site("{}");
        assert!(stop_rivals(&site).is_empty());
    }
}
