//! What is asked of each host before anything is touched: by its roles, and by what the config puts on it.

mod balancer;
mod etcd;
pub(crate) mod facts;
mod groups;
mod kubernetes;
mod node;
mod registry;
mod space;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cluster::{EtcdType, Host};
use engine::{Order, Slot, Step, Task};
use step::{
    Identity, JudgeClocks, JudgeSurveys, LookAtClock, OtherKubernetes, Port, Requirements,
    SiteName, Survey, SurveyHost,
};

use self::balancer::{balancer_ports, of_balancer};
use self::etcd::{of_etcd, of_stacked_etcd};
use self::groups::Groups;
use self::node::of_node;
use self::registry::of_registry;
use self::space::packages_space;
use crate::control_plane::pki::kept_authorities;
use crate::os::packages::system_packages;
use crate::preflight::facts::{
    CONTROL_PLANE_MEMORY, CONTROL_PLANE_PORTS, DIFF, PROGRAMS, SHARING_PROGRAMS, SYSTEMS,
};
use crate::recognise::returned;
use crate::{OPERATOR, Site};

/// How far the clocks of two hosts may be apart: certificates and etcd's leases bear no more.
const SKEW: Duration = Duration::from_secs(2);

/// Certificates are made valid from an hour ago.
const OFF: Duration = Duration::from_mins(30);

/// Nothing is signed while a host's clock is far from this machine's: what is brought to it would not be valid there. A host
/// that is down keeps nobody from going on.
#[must_use]
pub fn compare_clocks(site: &Site) -> Task {
    let names = site.cluster.spec.hosts.iter().map(|host| &host.name);
    let clocks: Vec<(String, Slot<i64>)> =
        names.map(|name| (name.clone(), Slot::new(name))).collect();
    let task = clocks
        .iter()
        .fold(Task::new("clocks"), |task, (name, ahead)| {
            let ahead = ahead.clone();
            task.on(name, vec![Arc::new(LookAtClock { ahead })])
        });
    let judge = JudgeClocks { clocks, off: OFF };
    task.then(Order::Settled)
        .on(OPERATOR, vec![Arc::new(judge)])
}

/// Looks at every host, then judges all that was found in one report. A host that is down fails by itself and keeps
/// nobody from going on.
#[must_use]
pub fn survey(site: &Site) -> Task {
    let surveys: Vec<(String, Slot<Survey>)> = site
        .host_names()
        .into_iter()
        .map(|host| (host.clone(), Slot::new(&host)))
        .collect();
    let foundation = site.cluster.foundation();
    let groups = Groups::of(site);
    let mut task = Task::new("survey");
    for (host, (name, survey)) in site.cluster.spec.hosts.iter().zip(&surveys) {
        let step: Arc<dyn Step> = Arc::new(SurveyHost {
            requirements: Requirements {
                foundation: foundation.clone(),
                ..requirements(site, host, &groups)
            },
            without: without(site, host),
            survey: survey.clone(),
        });
        // What is wrong with one that returned is that, and not what else it has.
        let returned = Arc::new(returned(site, host));
        task = task.on(name, vec![step, returned]);
    }
    task.then(Order::Settled).on(
        OPERATOR,
        vec![Arc::new(JudgeSurveys {
            surveys,
            unique: unique(&site.cluster),
            skew: skew(&site.cluster),
            off: OFF,
        })],
    )
}

/// What waits while this host is down.
fn without(site: &Site, host: &Host) -> Option<&'static str> {
    let registry = site.registry_hosts();
    if registry.iter().all(|registry| registry.name != host.name) {
        return None;
    }
    Some(match registry.len() {
        1 => {
            "it is the site's registry: whatever pulls images waits until it is back, and all else goes on"
        }
        _ => "it is one of the site's registries: nodes pull from another until it is back",
    })
}

/// Clocks that chrony will set need not agree yet: it does so before anything else goes by them.
fn skew(cluster: &cluster::Cluster) -> Duration {
    if cluster.spec.system.ntp_servers.is_empty() {
        SKEW
    } else {
        OFF
    }
}

/// Names that are given anew may be the same before.
fn unique(cluster: &cluster::Cluster) -> Vec<Identity> {
    if cluster.spec.system.set_hostname {
        vec![Identity::MACHINE_ID]
    } else {
        vec![Identity::HOSTNAME, Identity::MACHINE_ID]
    }
}

/// But for the foundation, which is that of all hosts.
fn requirements(site: &Site, host: &Host, groups: &Groups) -> Requirements {
    let mut wanted = Requirements {
        cluster: site.cluster.name().to_owned(),
        authorities: kept_authorities(site),
        kubernetes: site.kubernetes_version().with_v(),
        other_kubernetes: match site.hop {
            None => OtherKubernetes::Refused,
            Some(_) => OtherKubernetes::Expected,
        },
        machine: host.arch.uname().to_owned(),
        systems: SYSTEMS.to_vec(),
        accepted: site.cluster.spec.system.accept.clone(),
        addresses: host.internal_ips(),
        programs: PROGRAMS.to_vec(),
        packages: system_packages(site, host),
        timezone: site.cluster.spec.system.timezone.clone(),
        names: site_names(site, host),
        ..Requirements::default()
    };
    let is = |group: &HashSet<&str>| group.contains(host.name.as_str());
    if is(&groups.etcd) {
        of_etcd(site, host, &mut wanted);
    }
    if site.cluster.spec.etcd.kind == EtcdType::Kubeadm && is(&groups.masters) {
        of_stacked_etcd(site, &mut wanted);
    }
    if is(&groups.nodes) {
        of_node(site, host, &mut wanted);
    }
    if is(&groups.balancers) {
        wanted.ports.extend(balancer_ports(site));
        of_balancer(site, &mut wanted);
    }
    if site.internal_balancer_kind().is_some() && is(&groups.plain_workers) {
        wanted.ports.extend(balancer_ports(site));
    }
    if is(&groups.sharing) {
        wanted.programs.extend_from_slice(SHARING_PROGRAMS);
        wanted.shared = site.virtual_sockets();
    }
    if is(&groups.masters) {
        wanted.ports.push(Port {
            number: site.cluster.spec.control_plane_endpoint.port,
            of: "kube-apiserver",
        });
        wanted.ports.extend_from_slice(CONTROL_PLANE_PORTS);
        wanted.programs.push(DIFF);
        wanted.memory = Some(CONTROL_PLANE_MEMORY);
    }
    if is(&groups.registry) {
        of_registry(site, host, &mut wanted);
    }
    let space = packages_space(&wanted.packages);
    wanted.space.extend(space);
    wanted.programs.sort_unstable_by_key(|program| program.name);
    wanted.programs.dedup();
    wanted.executable.sort_unstable();
    wanted.executable.dedup();
    wanted
}

/// The names that the block in a host's `/etc/hosts` has for what others must find there.
fn site_names(site: &Site, host: &Host) -> Vec<SiteName> {
    let cluster = &site.cluster;
    let endpoint = SiteName {
        name: cluster.spec.control_plane_endpoint.domain.clone(),
        of: "the control plane",
        addresses: site.endpoint_on(host),
    };
    let hosts = site.registry_hosts().into_iter();
    let addresses = hosts.flat_map(Host::internal_ips);
    let registry = cluster.has_registry().then(|| SiteName {
        name: cluster.registry_domain().to_owned(),
        of: "the registry",
        addresses: addresses
            .chain(cluster.spec.registry.address.iter())
            .collect(),
    });
    let names = [Some(endpoint), registry].into_iter().flatten();
    names.filter(|name| !name.addresses.is_empty()).collect()
}
